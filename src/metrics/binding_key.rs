//! The binding key's Secret.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::register;

/// Figures of the binding key; clones share them.
#[derive(Clone)]
pub struct BindingKey {
    missing: Gauge,
    restored: Counter,
}

impl BindingKey {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            missing: register(
                registry,
                "binding_key_missing",
                "Whether the Secret with the binding key is missing or holds another key (1)",
            ),
            restored: register(
                registry,
                "binding_key_restored",
                "Times that the Secret with the binding key was deleted and written back",
            ),
        }
    }

    /// Whether the key's Secret is missing, or holds another key.
    pub fn set_missing(&self, missing: bool) {
        self.missing.set(i64::from(missing));
    }

    /// The key's Secret was deleted, and was written back.
    pub fn restored(&self) {
        self.restored.inc();
    }
}
