//! What this process remembers between reconciles. Everything here is lost on a restart, and nothing here is needed for
//! correctness after one: status and the Secret are.

pub mod backoff;
pub mod binding_key;
pub mod client_index;
pub mod connection_key;
pub mod connection_registry;
pub mod create_attempts;
pub mod keyed_locks;
pub mod leadership;
pub mod namespace_uids;
pub mod repairs;
pub mod rotations;
pub mod secret_cache;
pub mod verifications;
pub mod views;

use std::sync::Arc;

use self::backoff::Backoff;
use self::binding_key::KeyLoss;
use self::client_index::ClientIndex;
use self::connection_registry::ConnectionRegistry;
use self::create_attempts::CreateAttempts;
use self::keyed_locks::KeyedLocks;
use self::namespace_uids::NamespaceUids;
use self::repairs::Repairs;
use self::rotations::Rotations;
use self::verifications::Verifications;
use self::views::Views;

/// What this process remembers, by concern.
#[derive(Default)]
pub struct State {
    /// Create attempts: which this process started, which it sent, and which clients are not stored yet.
    pub attempts: CreateAttempts,
    /// Open rotations.
    pub rotations: Rotations,
    /// How far the watch may lag behind our own writes.
    pub views: Views,
    /// When each client was last verified.
    pub verifications: Verifications,
    /// Waits of objects whose reconcile failed.
    pub backoff: Backoff,
    /// How often each Secret was repaired lately.
    pub repairs: Repairs,
    /// Which object records which client.
    pub client_index: Arc<ClientIndex>,
    /// The uid of each object's namespace.
    pub namespace_uids: NamespaceUids,
    /// Whether the binding key's Secret was lost while this process runs.
    pub key_loss: KeyLoss,
    /// Connections by name.
    pub connections: ConnectionRegistry,
    /// What only one reconcile may do at a time: create a Secret of one name, adopt one client, rotate by schedule over one
    /// connection.
    pub locks: Arc<KeyedLocks>,
}

impl State {
    /// Drops what is kept of an object that is gone, except its create attempts: one may still be answered.
    pub fn forget(&self, uid: &str) {
        self.rotations.forget(uid);
        self.views.forget(uid);
        self.verifications.forget(uid);
        self.backoff.clear(uid);
        self.repairs.forget(uid);
        self.namespace_uids.forget(uid);
    }
}
