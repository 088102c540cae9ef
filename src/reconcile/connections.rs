//! The connections of this process, by reference: filled by the connection's own controller, read by every pass.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, watch};

use crate::api::{AccessRule, ConnectionRef, Reason};
use crate::provident::connection::Connection;

/// A connection as a client's pass finds it.
#[derive(Clone)]
pub struct Entry {
    /// Grows whenever something about it changes that may end a client's wait.
    pub revision: u64,
    /// Who may use it.
    pub access: Vec<AccessRule>,
    /// What is usable of it.
    pub state: State,
}

/// Whether a connection can be used.
#[derive(Clone)]
pub enum State {
    /// It can.
    Usable(Arc<Connection>),
    /// It cannot, with the message for the clients behind it.
    Unusable(Reason, String),
}

/// All connections.
pub struct Connections {
    entries: RwLock<HashMap<ConnectionRef, Entry>>,
    changed: watch::Sender<u64>,
    pokes: mpsc::UnboundedSender<ConnectionRef>,
}

impl Connections {
    /// An empty set, and the receiver of [`Connections::poke`].
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<ConnectionRef>) {
        let (pokes, receiver) = mpsc::unbounded_channel();
        let connections = Self {
            entries: RwLock::default(),
            changed: watch::Sender::new(0),
            pokes,
        };
        (connections, receiver)
    }

    /// The connection of that reference, if it is known.
    #[must_use]
    pub fn get(&self, reference: &ConnectionRef) -> Option<Entry> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(reference)
            .cloned()
    }

    /// Sets or, with `None`, removes a connection; `news` tells the clients behind it to look again.
    pub fn set(
        &self,
        reference: &ConnectionRef,
        entry: Option<(Vec<AccessRule>, State)>,
        news: bool,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let before = entries.get(reference).map_or(0, |entry| entry.revision);
        match entry {
            Some((access, state)) => {
                let revision = before + u64::from(news);
                entries.insert(
                    reference.clone(),
                    Entry {
                        revision,
                        access,
                        state,
                    },
                );
            }
            None => {
                entries.remove(reference);
            }
        }
        drop(entries);
        if news {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// Ticks whenever clients should look again.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Asks the connection's controller to look at it now: a call failed, or it was proven.
    pub fn poke(&self, reference: &ConnectionRef) {
        // The receiver lives as long as the controller; without it nobody is left to tell.
        let _ = self.pokes.send(reference.clone());
    }
}
