//! Watches on the API server: whether they fail, and when each last spoke.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::register;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InvalidOf {
    kind: String,
}

/// One watch of this process, through all the requests it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watch {
    /// The plural name of what is watched.
    pub resource: &'static str,
    /// What tells it from others of that resource.
    pub scope: String,
}

/// Figures of watches; clones share them.
#[derive(Clone)]
pub struct Watches {
    errors: Counter,
    invalid: Family<InvalidOf, Counter>,
    silence: Family<Of, Gauge<f64, AtomicU64>>,
    heard: Arc<Mutex<HashMap<Watch, Instant>>>,
}

impl Watches {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            errors: register(
                registry,
                "watch_errors",
                "Errors of the watches on the API server",
            ),
            invalid: register(
                registry,
                "invalid_objects",
                "Objects from lists and watches that could not be decoded and were skipped",
            ),
            silence: register(
                registry,
                "watch_silence_seconds",
                "Time since a watch last had an event, a bookmark or its end from the API server; the longest of each resource",
            ),
            heard: Arc::default(),
        }
    }

    /// A watch failed; it is begun again by itself.
    pub fn failed(&self) {
        self.errors.inc();
    }

    /// An object of this kind could not be decoded.
    pub fn invalid(&self, kind: &str) {
        let kind = kind.to_owned();
        self.invalid.get_or_create(&InvalidOf { kind }).inc();
    }

    /// A watch, or the list before it, is requested. Its silence counts from the first request.
    pub fn begun(&self, watch: &Watch) {
        self.heard
            .lock()
            .entry(watch.clone())
            .or_insert_with(Instant::now);
    }

    /// A watch spoke, or was ended by the API server.
    pub fn spoke(&self, watch: &Watch) {
        self.heard.lock().insert(watch.clone(), Instant::now());
    }

    /// How long the watch that has been silent longest has been so.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let heard = self.heard.lock();
        let silences = heard.values().map(Instant::elapsed);
        silences.max().unwrap_or_default()
    }

    pub(super) fn refresh(&self) {
        let mut longest: HashMap<&'static str, Duration> = HashMap::new();
        for (watch, heard) in &*self.heard.lock() {
            let silence = longest.entry(watch.resource).or_default();
            *silence = heard.elapsed().max(*silence);
        }
        for (resource, silence) in longest {
            let gauge = self.silence.get_or_create(&Of { resource });
            gauge.set(silence.as_secs_f64());
        }
    }
}
