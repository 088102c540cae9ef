//! Counts things by a label that each of them has one of at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::register;

/// A gauge by label; clones share it.
#[derive(Clone)]
pub(super) struct Tally<K, L> {
    family: Family<L, Gauge>,
    labels: Arc<Mutex<HashMap<K, L>>>,
}

impl<K, L> Tally<K, L>
where
    K: Eq + Hash,
    L: EncodeLabelSet + Clone + std::fmt::Debug + Eq + Hash + Send + Sync + 'static,
{
    pub(super) fn new(registry: &mut Registry, name: &str, help: &str) -> Self {
        Self {
            family: register(registry, name, help),
            labels: Arc::default(),
        }
    }

    /// Counts `key` under `label` from now on, or no more.
    pub(super) fn set(&self, key: K, label: Option<L>) {
        let mut labels = self.labels.lock();
        let before = match &label {
            Some(label) => labels.insert(key, label.clone()),
            None => labels.remove(&key),
        };
        if let Some(before) = before {
            self.family.get_or_create(&before).dec();
        }
        if let Some(label) = label {
            self.family.get_or_create(&label).inc();
        }
    }
}
