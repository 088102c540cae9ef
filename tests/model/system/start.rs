//! What there is when a run begins.

use super::object::{Proof, Secret, Shown};
use super::world::{Client, HANDMADE, World};

/// What there is when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An object that was just declared.
    Declared,
    /// One that is settled with its client.
    Ready,
    /// One that was just declared, and an inactive client that a person created by hand.
    Found,
    /// One that is to adopt such a client, and to activate it.
    Adopting(Proof),
    /// One that was just declared, and an active client of a former object of this name.
    Former,
}

impl World {
    /// Adds what there is besides the object that was just declared.
    pub fn begin_with(&mut self, start: Start) {
        let Some(object) = &mut self.object else {
            return;
        };
        let client = HANDMADE;
        match start {
            Start::Declared => {}
            Start::Former => self.clients.push(Client::new(false)),
            Start::Found => self.clients.push(inactive()),
            Start::Adopting(proof) => {
                object.spec.adoption = Some(proof);
                object.spec.active = Some(true);
                self.clients.push(inactive());
                if proof == Proof::InPlace {
                    self.secret = Some(Secret::Handmade(0));
                }
            }
            Start::Ready => {
                object.finalizer = true;
                object.client = Some(client);
                object.bound = true;
                object.shown = Shown::Ready;
                object.observed = true;
                object.stored = Some(0);
                let owner = Some(object.uid);
                self.tally[0].sent = 1;
                self.clients.push(Client::new(true));
                let secret = Secret::Ours {
                    owner,
                    client,
                    no: 0,
                    bound: true,
                    verified: true,
                };
                self.store_secret(None, Some(secret));
            }
        }
        let object = self.object;
        self.store_object(None, object);
    }
}

fn inactive() -> Client {
    Client {
        active: false,
        ..Client::new(false)
    }
}
