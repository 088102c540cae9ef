//! What there is when a run begins.

use super::world::{Client, HANDMADE, Proof, Secret, Shown, World};

/// What there is when a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// An object that nobody has looked at.
    Declared,
    /// One that is settled with its client.
    Ready,
    /// Likewise, and a client that a person made by hand.
    Found,
    /// One that is to adopt a client that a person made by hand.
    Adopting(Proof),
}

impl World {
    /// Adds to an object that has just been declared what there is besides.
    pub fn begin_with(&mut self, start: Start) {
        let Some(object) = &mut self.object else {
            return;
        };
        let client = HANDMADE;
        match start {
            Start::Declared => {}
            Start::Found => self.clients.push(Client::new(false)),
            Start::Adopting(proof) => {
                object.spec.adoption = Some(proof);
                self.clients.push(Client::new(false));
                if proof == Proof::InPlace {
                    self.secret = Some(Secret::Handmade(0));
                }
            }
            Start::Ready => {
                object.finalizer = true;
                object.client = Some(client);
                object.bound = true;
                object.shown = Shown::Ready;
                object.looked_at = true;
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
