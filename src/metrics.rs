//! Figures, as Prometheus reads them. No label per client: what one client is like stands in its status.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::api::{ConditionType, OAuthClient, find};
use crate::provident::outcome::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileResult {
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectionLabel {
    kind: &'static str,
    namespace: String,
    name: String,
}

/// All figures of one process; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ReconcileResult, Counter>,
    reconcile_seconds: Histogram,
    vendor_requests: Family<Call, Counter>,
    creates: Family<OutcomeLabel, Counter>,
    panics: Counter,
    orphaned: Counter,
    throttled: Counter,
    secret_repairs: Counter,
    rotations: Family<OutcomeLabel, Counter>,
    late: Counter,
    possible_orphans: Counter,
    watch_errors: Counter,
    leader: Gauge,
    clients: Family<ReasonLabel, Gauge>,
    connections: Family<ConnectionLabel, Gauge>,
    reasons: Arc<Mutex<HashMap<String, String>>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("provident_operator");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What is running", Info::new(version.to_vec()));
        let reconciles = Family::default();
        registry.register(
            "reconcile",
            "Passes over an object, by result",
            reconciles.clone(),
        );
        let reconcile_seconds = Histogram::new(exponential_buckets(0.001, 4.0, 9));
        registry.register(
            "reconcile_seconds",
            "Duration of a pass",
            reconcile_seconds.clone(),
        );
        let vendor_requests = Family::default();
        registry.register(
            "vendor_requests",
            "Calls to the vendor, by operation and answer",
            vendor_requests.clone(),
        );
        let creates = Family::default();
        registry.register(
            "creates",
            "Creates that were sent, by what is known of them",
            creates.clone(),
        );
        let panics = counter(
            &mut registry,
            "reconcile_panics",
            "Passes over an object that panicked",
        );
        let orphaned = counter(
            &mut registry,
            "orphaned_clients",
            "Clients left at the vendor because their object went without its finalizer",
        );
        let throttled = counter(
            &mut registry,
            "vendor_waits",
            "Calls put off by a connection's limit",
        );
        let secret_repairs = counter(
            &mut registry,
            "secret_repairs",
            "Secrets written again for an existing client",
        );
        let rotations = Family::default();
        registry.register(
            "rotations",
            "Rotations that were sent, by what was said to them, and those seen done",
            rotations.clone(),
        );
        let late = counter(
            &mut registry,
            "late_answers",
            "Created clients whose object was gone, deactivated",
        );
        let possible_orphans = counter(
            &mut registry,
            "possible_orphans",
            "Creates of unknown outcome that were made once more by unknownOutcome: Retry",
        );
        let watch_errors = counter(
            &mut registry,
            "watch_errors",
            "Errors of the watches on the API server",
        );
        let leader = leader(&mut registry);
        let clients = Family::default();
        registry.register(
            "clients",
            "OAuthClient objects, by the reason of their Ready condition",
            clients.clone(),
        );
        let connections = Family::default();
        registry.register(
            "connection_ready",
            "Whether the vendor takes the connection's token",
            connections.clone(),
        );
        Self {
            registry: Arc::new(registry),
            reconciles,
            reconcile_seconds,
            vendor_requests,
            creates,
            panics,
            orphaned,
            throttled,
            secret_repairs,
            rotations,
            late,
            possible_orphans,
            watch_errors,
            leader,
            clients,
            connections,
            reasons: Arc::default(),
        }
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

fn leader(registry: &mut Registry) -> Gauge {
    let gauge = Gauge::default();
    let help = "Whether this process does the work: it holds the lease, or needs none";
    registry.register("leader", help, gauge.clone());
    gauge
}

fn connection_label(kind: &'static str, namespace: &str, name: &str) -> ConnectionLabel {
    ConnectionLabel {
        kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

impl Metrics {
    /// The text of `/metrics`, in the `OpenMetrics` format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// A pass ended.
    pub fn reconciled(&self, result: &str, took: Duration) {
        self.reconciles
            .get_or_create(&ReconcileResult {
                result: result.to_owned(),
            })
            .inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// The vendor was asked.
    pub fn vendor(&self, operation: &'static str, code: &'static str) {
        self.vendor_requests
            .get_or_create(&Call { operation, code })
            .inc();
    }

    /// A create was sent.
    pub fn created(&self, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Created(_) => "created",
            Outcome::NotCreated(_) => "not_created",
            Outcome::Unknown(_) => "unknown",
        };
        self.creates.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// A pass panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// An object went without the operator's doing, and left its client behind.
    pub fn orphaned(&self) {
        self.orphaned.inc();
    }

    /// A call was put off.
    pub fn throttled(&self) {
        self.throttled.inc();
    }

    /// A Secret was written; `fresh` for a new client's first.
    pub fn secret_written(&self, fresh: bool) {
        if !fresh {
            self.secret_repairs.inc();
        }
    }

    /// A rotation was accepted, refused or not answered, or was seen done.
    pub fn rotation(&self, outcome: &'static str) {
        self.rotations
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }

    /// An answer came too late.
    pub fn late(&self) {
        self.late.inc();
    }

    /// A watch failed; it is begun again by itself.
    pub fn watch_error(&self) {
        self.watch_errors.inc();
    }

    /// This process does the work from now on, or does it no longer.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// A connection was looked at.
    pub fn connection(&self, kind: &'static str, namespace: &str, name: &str, ready: bool) {
        let label = connection_label(kind, namespace, name);
        self.connections.get_or_create(&label).set(i64::from(ready));
    }

    /// A connection is gone.
    pub fn forget_connection(&self, kind: &'static str, namespace: &str, name: &str) {
        self.connections
            .remove(&connection_label(kind, namespace, name));
    }

    /// A create of unknown outcome was made once more, as its connection says.
    pub fn possible_orphan(&self) {
        self.possible_orphans.inc();
    }

    /// A client was reported on.
    pub fn client(&self, object: &OAuthClient) {
        let conditions = object
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        let reason = find(conditions, ConditionType::Ready).map(|ready| ready.reason.clone());
        self.count(&object.uid().unwrap_or_default(), reason);
    }

    /// A client is gone.
    pub fn forget(&self, uid: &str) {
        self.count(uid, None);
    }

    fn count(&self, uid: &str, reason: Option<String>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &reason {
            Some(reason) => reasons.insert(uid.to_owned(), reason.clone()),
            None => reasons.remove(uid),
        };
        if let Some(reason) = before {
            self.clients.get_or_create(&ReasonLabel { reason }).dec();
        }
        if let Some(reason) = reason {
            self.clients.get_or_create(&ReasonLabel { reason }).inc();
        }
    }
}
