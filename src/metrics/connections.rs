//! Connections, by the reason of their Ready condition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::registry::Registry;

use super::tally::Tally;
use provident_core::api::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionUpdate {
    kind: &'static str,
    reason: &'static str,
}

type Key = (&'static str, String, String);

/// Figures of connections; clones share them.
#[derive(Clone)]
pub struct Connections(Tally<Key, ConditionUpdate>);

impl Connections {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self(Tally::new(
            registry,
            "connections",
            "Connections, by kind and the reason of their Ready condition",
        ))
    }

    /// A connection was reconciled, and its Ready condition has `reason`.
    pub fn set_reason(&self, kind: &'static str, namespace: &str, name: &str, reason: Reason) {
        let reason = reason.as_str();
        let key = (kind, namespace.to_owned(), name.to_owned());
        self.0.set(key, Some(ConditionUpdate { kind, reason }));
    }

    /// A connection is gone.
    pub fn forget(&self, kind: &'static str, namespace: &str, name: &str) {
        self.0
            .set((kind, namespace.to_owned(), name.to_owned()), None);
    }
}
