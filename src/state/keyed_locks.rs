//! Locks by name, each held by one reconcile at a time.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// Locks by name, for what only one reconcile may do at a time.
#[derive(Default)]
pub struct KeyedLocks(Mutex<HashSet<String>>);

/// Holds a name until dropped.
pub struct KeyedLock {
    names: Arc<KeyedLocks>,
    name: String,
}

impl KeyedLocks {
    /// Takes a name; `None` while another reconcile holds it.
    pub fn take(self: &Arc<Self>, name: String) -> Option<KeyedLock> {
        let mut taken = self.0.lock();
        taken.insert(name.clone()).then(|| KeyedLock {
            names: Arc::clone(self),
            name,
        })
    }
}

impl Drop for KeyedLock {
    fn drop(&mut self) {
        let mut taken = self.names.0.lock();
        taken.remove(&self.name);
    }
}
