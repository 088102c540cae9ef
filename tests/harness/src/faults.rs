//! Faults between a client and the API server, and a record of every request.
//!
//! ```no_run
//! # use harness::{ControlPlane, faults::{Effect, Fault, Faults}};
//! # use kube::client::ClientBuilder;
//! # async fn example() -> anyhow::Result<()> {
//! let faults = Faults::new();
//! let mut config = ControlPlane::shared().await?.client_config();
//! config.default_retry = false; // retries would happen below this layer, which would not see them
//! let client = ClientBuilder::try_from(config)?.with_layer(&faults.layer()).build();
//! // Secrets are written, but the responses are lost.
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

/// When a fault takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the request is sent. If the effect ends the request, the server never receives it.
    Before,
    /// After the server has processed the request and responded. If the effect ends it, the client does not know the outcome.
    After,
}

/// What a fault does.
#[derive(Clone)]
pub enum Effect {
    /// The client gets a transport error: "connection refused" before, "connection reset" after.
    Fail,
    /// The client gets this HTTP status with the matching Kubernetes `Status`, such as 403, 409, 429, 500 or 504.
    Answer(u16),
    /// The request or its response is delayed.
    Delay(Duration),
    /// The client gets no response.
    Hang,
    /// The response's body is no JSON any more, but still contains all its text. Not for a watch, which has no end.
    Undecodable,
    /// The events of a watch are changed or withheld. Only [`Moment::After`].
    Watch(Twist),
    /// A hook runs at this moment, then the request continues. Created by [`Effect::run`].
    Run(Hook),
}

impl Effect {
    /// An effect that runs `hook` and waits for it, for example to change the object of the request. A hook that never returns is
    /// a hang that the test can notice.
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

/// One fault of one request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// When it takes effect.
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

    /// A fault after the server has processed the request.
    #[must_use]
    pub const fn after(effect: Effect) -> Self {
        Self {
            moment: Moment::After,
            effect,
        }
    }
}

/// The record of one request.
#[derive(Debug, Clone)]
pub struct Record {
    /// The request.
    pub request: RequestInfo,
    /// Whether it was sent to the server.
    pub sent: bool,
    /// The HTTP status of the server's response, even if the client got another one or none.
    pub status: Option<u16>,
}

/// The rules and records of one client. Clones share them.
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
    /// Without rules: requests are only recorded.
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

    /// Adds a rule. Rules are evaluated in order for every request, including watches; the first fault applies.
    pub fn add_rule(&self, rule: impl Fn(&RequestInfo) -> Option<Fault> + Send + Sync + 'static) {
        lock(&self.0.rules).push(Arc::new(rule));
    }

    /// Adds a rule for the `k`-th request from now on, counted from 1 and without background requests
    /// ([`RequestInfo::is_background`]): for tests that let each request of a run fail in turn.
    pub fn on_request(&self, k: u64, fault: Fault) {
        let seen = AtomicU64::new(0);
        self.add_rule(move |request| {
            let counts = !request.is_background();
            (counts && seen.fetch_add(1, Ordering::Relaxed) + 1 == k).then(|| fault.clone())
        });
    }

    /// Removes all rules. Requests that are already delayed or hang are not affected.
    pub fn clear(&self) {
        lock(&self.0.rules).clear();
    }

    /// Starts or ends an outage of the API server. During an outage every request fails as if the connection were refused, and open
    /// watches are reset. Requests that were already sent still get their response.
    pub fn set_outage(&self, on: bool) {
        self.0.outage.send_replace(on);
    }

    /// Every request since the start or the last [`Faults::forget`], in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        lock(&self.0.records).values().cloned().collect()
    }

    /// Forgets the requests so far. Sequence numbers continue.
    pub fn forget(&self) {
        lock(&self.0.records).clear();
    }

    /// The number of requests that match.
    #[must_use]
    pub fn count(&self, matches: impl Fn(&Record) -> bool) -> usize {
        lock(&self.0.records)
            .values()
            .filter(|record| matches(record))
            .count()
    }

    /// The number of writes ([`RequestInfo::is_write`]) that were sent, whatever the response.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.count(|record| record.sent && record.request.is_write())
    }

    /// The same by resource and subresource: `secrets`, `oauthclients`, `oauthclients/status`.
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

    /// The number of server-side dry runs that were sent.
    #[must_use]
    pub fn dry_runs(&self) -> usize {
        self.count(|record| record.sent && record.request.dry_run)
    }

    /// Numbers and records a request, and returns its fault.
    fn admit(&self, mut request: RequestInfo) -> (RequestInfo, Option<Fault>) {
        request.sequence = self.0.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Record {
            request: request.clone(),
            sent: false,
            status: None,
        };
        lock(&self.0.records).insert(request.sequence, record);
        // Rules run without the lock, so that a rule can change the rules.
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

/// Ignores poisoning: every change is atomic, so a panic in another test leaves consistent data.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
