//! When each client was last verified.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use provident_core::plan::due_slot;

use crate::clock;

/// The verification period in which each client was last verified, by the object's uid.
#[derive(Default)]
pub struct Verifications {
    last: Mutex<HashMap<String, u64>>,
    /// Seconds since the epoch of the first reconcile, before which the process may have been a standby for days.
    started: OnceLock<u64>,
}

impl Verifications {
    /// Whether a new period has begun since the last verification, or since this process started working.
    pub fn is_due(&self, uid: &str, interval: Duration) -> bool {
        let started = *self.started.get_or_init(clock::seconds);
        let last = self.last.lock().get(uid).copied();
        let last = last.unwrap_or_else(|| due_slot(uid, started, interval));
        due_slot(uid, clock::seconds(), interval) > last
    }

    /// Notes that the client was verified now.
    pub fn verified(&self, uid: &str, interval: Duration) {
        self.set(uid, due_slot(uid, clock::seconds(), interval));
    }

    /// Makes the next reconcile verify the client, whatever becomes of this one.
    pub fn force(&self, uid: &str) {
        self.set(uid, 0);
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        self.last.lock().remove(uid);
    }

    fn set(&self, uid: &str, slot: u64) {
        self.last.lock().insert(uid.to_owned(), slot);
    }
}
