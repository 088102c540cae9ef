//! Prometheus metrics. No label names an object, its namespace or its client: the state of a single object is in its
//! status.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>: the prefix `provident_operator_`, base units, `_total` on
//! counters alone.

mod api_server;
mod binding_key;
mod clients;
mod connections;
mod outcomes;
mod passes;
mod queue;
mod tally;
mod vendor;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

pub use api_server::ApiServer;
pub use binding_key::BindingKey;
pub use clients::Clients;
pub use connections::Connections;
pub use outcomes::Outcomes;
pub use passes::{End, Passes};
pub use queue::{Queue, Working};
pub use vendor::Vendor;
pub use watches::{Watch, Watches};

/// Bounds of what takes milliseconds when all is well, and a minute at most when not.
const SHORT: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Bounds of what may take a quarter of an hour.
const LONG: [f64; 12] = [
    0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];

/// All figures of one process; clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    leader: Gauge,
    /// Requests to the API server.
    pub api_server: ApiServer,
    /// The binding key.
    pub binding_key: BindingKey,
    /// Clients, by the reason of their Ready condition, and when they were verified.
    pub clients: Clients,
    /// Connections, by the reason of their Ready condition.
    pub connections: Connections,
    /// What became of creates, rotations and Secrets.
    pub outcomes: Outcomes,
    /// Passes over objects.
    pub passes: Passes,
    /// Objects that wait for a pass.
    pub queue: Queue,
    /// Calls to the vendor.
    pub vendor: Vendor,
    /// Watches on the API server.
    pub watches: Watches,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("provident_operator");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What is running", Info::new(version.to_vec()));
        Self {
            leader: register(
                &mut registry,
                "leader",
                "Whether this process does the work: it holds the lease, or needs none",
            ),
            api_server: ApiServer::new(&mut registry),
            binding_key: BindingKey::new(&mut registry),
            clients: Clients::new(&mut registry),
            connections: Connections::new(&mut registry),
            outcomes: Outcomes::new(&mut registry),
            passes: Passes::new(&mut registry),
            queue: Queue::new(&mut registry),
            vendor: Vendor::new(&mut registry),
            watches: Watches::new(&mut registry),
            registry: Arc::new(registry),
        }
    }
}

impl Metrics {
    /// This process does the work from now on, or does it no longer.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The text of `/metrics`, in the `OpenMetrics` format.
    #[must_use]
    pub fn text(&self) -> String {
        // What grows with time alone.
        self.clients.refresh();
        self.queue.refresh();
        self.watches.refresh();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn register_as<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn short() -> Histogram {
    Histogram::new(SHORT)
}

fn long() -> Histogram {
    Histogram::new(LONG)
}

fn seconds(longest: Option<Duration>) -> f64 {
    longest.unwrap_or_default().as_secs_f64()
}
