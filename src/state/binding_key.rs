//! What this process knows of the binding key.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use provident_core::binding::BindingKey;

use super::connection_key::ConnectionKey;

/// What is known of the key.
#[derive(Clone)]
pub enum KeyState {
    /// Not looked for yet.
    Unknown,
    /// Gone, while objects carry bindings made with it; with the message for the user.
    Missing(Arc<str>),
    /// At hand.
    Loaded(Box<BindingKey>),
}

/// The key's Secret was deleted or replaced while this process runs.
#[derive(Default)]
pub struct KeyLoss {
    /// It could not be restored; with the message for the user.
    lost: RwLock<Option<Arc<str>>>,
    /// What each connection's controller has yet to publish as an event.
    notices: Mutex<HashMap<ConnectionKey, Arc<str>>>,
}

impl KeyLoss {
    /// The loss, if the key's Secret is not as it should be now. Nothing is created or rotated then, because a process that starts
    /// without the key would not recognise the client.
    pub fn get(&self) -> Option<Arc<str>> {
        self.lost.read().clone()
    }

    /// Notes a loss or its end. Returns whether that is new.
    pub fn set(&self, loss: Option<Arc<str>>) -> bool {
        let mut known = self.lost.write();
        let changed = *known != loss;
        *known = loss;
        changed
    }

    /// Notes what is to be published about these connections.
    pub fn notify(&self, connections: &[ConnectionKey], note: &Arc<str>) {
        let mut notices = self.notices.lock();
        notices.extend(
            connections
                .iter()
                .map(|key| (key.clone(), Arc::clone(note))),
        );
    }

    /// What is to be published about this connection, once.
    pub fn take_notice(&self, connection: &ConnectionKey) -> Option<Arc<str>> {
        self.notices.lock().remove(connection)
    }
}
