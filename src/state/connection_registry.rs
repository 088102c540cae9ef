//! The connections of this process: filled by the connection's own controller, read by every reconcile of a client.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::broadcast;

use super::connection_key::ConnectionKey;
use crate::vendor::connection::VendorConnection;
use crate::vendor::health::HealthListener;
use provident_core::api::{AccessRule, Reason, UnknownOutcomePolicy};

/// How many messages a slow receiver may be behind. Beyond that it loses them and checks every connection instead.
const BEHIND: usize = 1024;

/// A connection as a client's reconcile finds it.
#[derive(Clone)]
pub struct ConnectionEntry {
    /// Grows whenever something about it changes that may end a client's wait.
    pub revision: u64,
    /// Who may use it, by its rules. `None` where no rules apply: a namespaced connection is its namespace's own.
    pub access: Option<Vec<AccessRule>>,
    /// What to do about a create whose outcome stays unknown.
    pub unknown_outcome_policy: UnknownOutcomePolicy,
    /// What is usable of it.
    pub availability: Availability,
    /// The last that was usable: for what is known of the vendor, and for a dying namespace (`vanished`).
    pub last: Option<Arc<VendorConnection>>,
    /// The connection, its Secret or its `ConfigMap` is gone. In a namespace that is being deleted its clients are
    /// deactivated over the last one all the same.
    pub vanished: bool,
}

impl ConnectionEntry {
    fn is_gone(&self) -> bool {
        matches!(
            self.availability,
            Availability::Unusable(Reason::ConnectionNotFound, _)
        )
    }
}

/// Whether a connection can be used.
#[derive(Clone)]
pub enum Availability {
    /// It can.
    Usable(Arc<VendorConnection>),
    /// It cannot, with the message for the clients that use it.
    Unusable(Reason, String),
}

/// A change to what the registry holds of a connection.
pub struct Update {
    /// See [`ConnectionEntry::access`].
    pub access: Option<Vec<AccessRule>>,
    /// See [`ConnectionEntry::unknown_outcome_policy`].
    pub unknown_outcome_policy: UnknownOutcomePolicy,
    /// See [`ConnectionEntry::availability`].
    pub availability: Availability,
    /// See [`ConnectionEntry::vanished`].
    pub vanished: bool,
    /// The clients that use it are to be reconciled again.
    pub news: bool,
}

/// What keeps a connection from being deleted under its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing: no client names it.
    None,
    /// Our finalizer.
    Finalizer,
    /// It is being deleted: nothing new is created over it.
    Terminating,
}

/// All connections.
pub struct ConnectionRegistry {
    entries: RwLock<HashMap<ConnectionKey, Arc<ConnectionEntry>>>,
    protections: RwLock<HashMap<ConnectionKey, Protection>>,
    changed: broadcast::Sender<ConnectionKey>,
    triggers: broadcast::Sender<ConnectionKey>,
}

impl Default for ConnectionRegistry {
    fn default() -> Self {
        Self {
            entries: RwLock::default(),
            protections: RwLock::default(),
            changed: broadcast::Sender::new(BEHIND),
            triggers: broadcast::Sender::new(BEHIND),
        }
    }
}

impl ConnectionRegistry {
    /// The connection, if it is known.
    #[must_use]
    pub fn get(&self, key: &ConnectionKey) -> Option<Arc<ConnectionEntry>> {
        self.entries.read().get(key).cloned()
    }

    /// All connections that are known.
    #[must_use]
    pub fn keys(&self) -> Vec<ConnectionKey> {
        self.entries.read().keys().cloned().collect()
    }

    /// Takes in what is known of a connection now.
    pub fn set(&self, key: &ConnectionKey, update: Update) {
        let mut entries = self.entries.write();
        let before = entries.get(key);
        let last = match &update.availability {
            Availability::Usable(connection) => Some(Arc::clone(connection)),
            Availability::Unusable(..) => before.and_then(|entry| entry.last.clone()),
        };
        let entry = ConnectionEntry {
            revision: before.map_or(0, |entry| entry.revision) + u64::from(update.news),
            access: update.access,
            unknown_outcome_policy: update.unknown_outcome_policy,
            availability: update.availability,
            last,
            vanished: update.vanished,
        };
        entries.insert(key.clone(), Arc::new(entry));
        drop(entries);
        if update.news {
            // Without a receiver there is nobody to notify.
            let _ = self.changed.send(key.clone());
        }
    }

    /// A connection was deleted. While clients need it, as `used` reports, what was last known of it is kept for a namespace
    /// that is being deleted.
    pub fn remove(&self, key: &ConnectionKey, used: impl Fn(&ConnectionKey) -> bool) {
        self.protections.write().remove(key);
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(key).filter(|entry| !entry.is_gone()) else {
            return;
        };
        let entry = Arc::make_mut(entry);
        let message = format!(
            "spec.connectionRef: there is no {} {key} any more. Create it, or correct the reference",
            key.kind.as_str()
        );
        entry.revision += 1;
        entry.availability = Availability::Unusable(Reason::ConnectionNotFound, message);
        entry.vanished = true;
        entries.retain(|key, entry| !entry.is_gone() || used(key));
        drop(entries);
        let _ = self.changed.send(key.clone());
    }

    /// A client is gone: drops deleted connections that no other client names, as `used` says.
    pub fn forget_unused(&self, used: impl Fn(&ConnectionKey) -> bool) {
        let is_any_gone = self.entries.read().values().any(|entry| entry.is_gone());
        if is_any_gone {
            let mut entries = self.entries.write();
            entries.retain(|key, entry| !entry.is_gone() || used(key));
        }
    }

    /// A connection cannot be read by this version: it is not used until it can.
    pub fn unreadable(&self, key: &ConnectionKey) {
        let message = format!(
            "Connection {key} cannot be read by this version of the operator; see {}",
            key.command()
        );
        let update = Update {
            // Nobody: what its rules are is not known.
            access: Some(Vec::new()),
            unknown_outcome_policy: UnknownOutcomePolicy::Hold,
            availability: Availability::Unusable(Reason::InvalidObject, message),
            vanished: false,
            news: true,
        };
        self.set(key, update);
    }

    /// Whether the connection is there and cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, key: &ConnectionKey) -> bool {
        self.get(key).is_some_and(|entry| {
            matches!(
                entry.availability,
                Availability::Unusable(Reason::InvalidObject, _)
            )
        })
    }

    /// Takes in what protects a connection now.
    pub fn protect(&self, key: &ConnectionKey, protection: Protection) {
        self.protections.write().insert(key.clone(), protection);
    }

    /// What protects a connection; `None` before its first reconcile.
    #[must_use]
    pub fn protection(&self, key: &ConnectionKey) -> Option<Protection> {
        self.protections.read().get(key).copied()
    }

    /// Whether the connection is being deleted.
    #[must_use]
    pub fn is_terminating(&self, key: &ConnectionKey) -> bool {
        self.protection(key) == Some(Protection::Terminating)
    }

    /// Connections whose clients should be reconciled.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<ConnectionKey> {
        self.changed.subscribe()
    }

    /// Connections that should be reconciled.
    #[must_use]
    pub fn triggers(&self) -> broadcast::Receiver<ConnectionKey> {
        self.triggers.subscribe()
    }

    /// The same as [`Self::trigger`], for one who holds no registry.
    #[must_use]
    pub fn trigger_of(&self, key: &ConnectionKey) -> HealthListener {
        let (sender, key) = (self.triggers.clone(), key.clone());
        Arc::new(move || {
            let _ = sender.send(key.clone());
        })
    }

    /// Requests a reconcile of the connection now: its health changed, or something that it refers to.
    pub fn trigger(&self, key: &ConnectionKey) {
        let _ = self.triggers.send(key.clone());
    }
}

#[cfg(test)]
mod tests {
    use provident_core::api::{ConnectionKind, ConnectionRef};

    use super::*;

    #[test]
    fn a_deleted_connection_is_kept_for_its_clients_and_no_longer() {
        let registry = ConnectionRegistry::default();
        let reference = ConnectionRef {
            kind: ConnectionKind::ProvidentConnection,
            name: "own".to_owned(),
        };
        let keys: Vec<_> = (0..100)
            .map(|index| ConnectionKey::new(&reference, &format!("tenant-{index}")))
            .collect();
        for key in &keys {
            registry.unreadable(key);
            registry.remove(key, |_| true);
            assert!(registry.get(key).is_some(), "its clients are still there");
        }
        registry.forget_unused(|key| *key == keys[0]);
        assert!(registry.get(&keys[0]).is_some());
        assert_eq!(registry.entries.read().len(), 1);
        registry.forget_unused(|_| false);
        assert_eq!(registry.entries.read().len(), 0);
    }
}
