//! Faults between a client and the API server, and a record of every request.
//!
//! ```no_run
//! # use harness::{ControlPlane, faults::{Effect, Fault, Faults}};
//! # use kube::client::ClientBuilder;
//! # async fn example() -> anyhow::Result<()> {
//! let faults = Faults::new();
//! let mut config = ControlPlane::shared().await?.client_config();
//! config.default_retry = false; // retries would happen below this layer, out of its sight
//! let client = ClientBuilder::try_from(config)?.with_layer(&faults.layer()).build();
//! // The first Secret is written, and its answer is lost on the way back.
//! faults.add_rule(|request| (request.is_write() && request.resource == "secrets").then(|| Fault::after(Effect::Fail)));
//! # Ok(())
//! # }
//! ```

mod layer;
mod proxy;
mod request;
mod stream;

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

pub use layer::{FaultBody, FaultLayer, FaultService};
pub use proxy::Proxy;
pub use request::RequestInfo;
pub use stream::Twist;

type Hook = Arc<dyn Fn(RequestInfo) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;
type Rule = Arc<dyn Fn(&RequestInfo) -> Option<Fault> + Send + Sync>;

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request is sent. If the effect ends it, the server never sees it.
    Before,
    /// After the server has carried it out and answered. If the effect ends it, the client does not know.
    After,
}

/// What a fault does.
#[derive(Clone)]
pub enum Effect {
    /// The client gets an error of the transport, "connection refused" before, "connection reset" after.
    Fail,
    /// The client gets this HTTP status with a Kubernetes `Status` that fits it, such as 403, 409, 429, 500 or 504.
    Answer(u16),
    /// The request, or its answer, waits.
    Delay(Duration),
    /// The client waits until it gives up.
    Hang,
    /// The answer's body is no JSON, but still has all its text in it. Not that of a watch, which has no end.
    Undecodable,
    /// The events of a watch arrive as told, if they arrive; only after the answer's head.
    Watch(Twist),
    /// Something else happens at this moment, then the request goes on. Make one by [`Effect::run`].
    Run(Hook),
}

impl Effect {
    /// An effect that waits for what `hook` does, such as a stranger writing the very object. A hook that never
    /// returns is a hang that tells.
    pub fn run<F: Future<Output = ()> + Send + 'static>(
        hook: impl Fn(RequestInfo) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::Run(Arc::new(move |request| Box::pin(hook(request))))
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail => f.write_str("Fail"),
            Self::Answer(code) => write!(f, "Answer({code})"),
            Self::Delay(time) => write!(f, "Delay({time:?})"),
            Self::Hang => f.write_str("Hang"),
            Self::Undecodable => f.write_str("Undecodable"),
            Self::Watch(twist) => write!(f, "Watch({twist:?})"),
            Self::Run(_) => f.write_str("Run(..)"),
        }
    }
}

/// One fault on one request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// When it strikes.
    pub moment: Moment,
    /// What it does.
    pub effect: Effect,
}

impl Fault {
    /// A fault before the request is sent.
    #[must_use]
    pub const fn before(effect: Effect) -> Self {
        Self {
            moment: Moment::Before,
            effect,
        }
    }

    /// A fault after the server has carried the request out.
    #[must_use]
    pub const fn after(effect: Effect) -> Self {
        Self {
            moment: Moment::After,
            effect,
        }
    }
}

/// What is known of one request.
#[derive(Debug, Clone)]
pub struct Record {
    /// The request.
    pub request: RequestInfo,
    /// Whether it was sent to the server.
    pub sent: bool,
    /// The HTTP status of the server's answer, also where the client got another one or none.
    pub status: Option<u16>,
}

/// The switchboard of one client's faults; clones share it.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    sequence: AtomicU64,
    records: Mutex<BTreeMap<u64, Record>>,
    rules: Mutex<Vec<Rule>>,
    outage: watch::Sender<bool>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

impl Faults {
    /// No faults yet: requests pass and are recorded.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            sequence: AtomicU64::new(0),
            records: Mutex::default(),
            rules: Mutex::default(),
            outage: watch::Sender::new(false),
        };
        Self(Arc::new(shared))
    }

    /// The layer for `kube::client::ClientBuilder::with_layer`.
    #[must_use]
    pub fn layer(&self) -> FaultLayer {
        FaultLayer::new(self.clone())
    }

    /// Adds a rule. Every request, watches too, asks the rules in the order they were added; the first fault counts.
    pub fn add_rule(&self, rule: impl Fn(&RequestInfo) -> Option<Fault> + Send + Sync + 'static) {
        lock(&self.0.rules).push(Arc::new(rule));
    }

    /// Adds a rule for the `k`-th request from now on, counted from 1, that is not in the background
    /// ([`RequestInfo::is_background`]): for tests that strike at every request of a run in turn.
    pub fn on_request(&self, k: u64, fault: Fault) {
        let seen = AtomicU64::new(0);
        self.add_rule(move |request| {
            let counts = !request.is_background();
            (counts && seen.fetch_add(1, Ordering::Relaxed) + 1 == k).then(|| fault.clone())
        });
    }

    /// Removes all rules. Requests that already wait or hang stay as they are.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
    }

    /// Begins or ends an outage of the API server: while it lasts no request is sent, each fails as if the connection
    /// were refused, and watches that are open break off. Requests on their way are still answered.
    pub fn set_outage(&self, on: bool) {
        self.0.outage.send_replace(on);
    }

    /// Every request since the start or [`Faults::forget`], in the order they were made.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        lock(&self.0.records).values().cloned().collect()
    }

    /// Forgets the requests so far; sequence numbers go on.
    pub fn forget(&self) {
        lock(&self.0.records).clear();
    }

    /// How many requests are such.
    #[must_use]
    pub fn count(&self, such: impl Fn(&Record) -> bool) -> usize {
        lock(&self.0.records)
            .values()
            .filter(|record| such(record))
            .count()
    }

    /// How many writes ([`RequestInfo::is_write`]) were sent, whatever the answer.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.count(|record| record.sent && record.request.is_write())
    }

    /// The same by what was written: `secrets`, `oauthclients`, `oauthclients/status`.
    #[must_use]
    pub fn writes_by_resource(&self) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        for record in lock(&self.0.records)
            .values()
            .filter(|record| record.sent && record.request.is_write())
        {
            *writes
                .entry(record.request.resource_and_subresource())
                .or_default() += 1;
        }
        writes
    }

    /// How many server-side dry runs were sent.
    #[must_use]
    pub fn dry_runs(&self) -> usize {
        self.count(|record| record.sent && record.request.dry_run)
    }

    /// Numbers and records a request, and says what is to happen to it.
    fn admit(&self, mut request: RequestInfo) -> (RequestInfo, Option<Fault>) {
        request.sequence = self.0.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Record {
            request: request.clone(),
            sent: false,
            status: None,
        };
        lock(&self.0.records).insert(request.sequence, record);
        // Rules run without the lock, so that a rule may change the rules.
        let rules = lock(&self.0.rules).clone();
        let fault = rules.iter().find_map(|rule| rule(&request));
        (request, fault)
    }

    fn update(&self, sequence: u64, change: impl FnOnce(&mut Record)) {
        if let Some(record) = lock(&self.0.records).get_mut(&sequence) {
            change(record);
        }
    }
}

/// A test that panicked elsewhere leaves the data whole: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
