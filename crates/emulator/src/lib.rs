//! The vendor as a stateful server, for tests and trials.
//!
//! Written from the API document alone; it shares no type with the operator's own client, so that a misreading in one
//! is not repeated in the other. What the document leaves open is answered in one plain way, and each other way is a
//! [`Fault`] or a switch of [`Faults`].
//!
//! It keeps a client's rate limits and address restrictions as they are given and enforces neither. A limit on the
//! administration API itself is a [`RateLimit`].
//!
//! ```
//! # use provident_emulator::{Emulator, EmulatorError, Fault, Operation, Options, When};
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let emulator = Emulator::start(Options::default()).await?;
//! // The vendor takes the next create, and its gateway answers 503.
//! emulator.faults().once(Operation::Create, Fault::answer(When::AfterCommit, 503));
//! assert!(emulator.base_url().ends_with("/v2"));
//! # Ok::<(), EmulatorError>(()) }).unwrap();
//! ```

mod answer;
mod args;
mod call;
mod error;
mod faults;
mod gate;
mod journal;
mod limit;
mod listen;
mod page;
mod persist;
mod random;
mod routes;
mod rule;
mod server;
mod shared;
mod state;
mod trials;
mod validate;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use self::args::{EmulatorArgs, run};
pub use self::error::EmulatorError;
pub use self::faults::{Answer, Fault, Faults, Operation, When};
pub use self::gate::Gate;
pub use self::journal::{Call, Count};
pub use self::limit::{LimitHeaders, LimitKind, LimitVerdict, RateLimit, RateLimiter};
pub use self::rule::Rule;
pub use self::state::StoredClient;

use self::journal::Journal;
use self::persist::StateFile;
use self::shared::{Shared, now};
use self::state::State;

/// The scopes a client may have unless [`Options::scopes`] says otherwise. The vendor's own are not documented.
pub const DEFAULT_SCOPES: [&str; 6] = [
    "listings:read",
    "listings:write",
    "orders:read",
    "orders:write",
    "profile:read",
    "profile:write",
];

/// How an emulator starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token of the administration API; `None` makes a random one.
    pub token: Option<String>,
    /// Keeps the clients, secrets included, through a restart; mode 0600. One emulator at a time.
    pub state_file: Option<PathBuf>,
    /// Whether successful answers are wrapped in `{"data": …}`.
    pub envelope: bool,
    /// The scopes a client may have; any other is answered 422.
    pub scopes: Vec<String>,
    /// clientId and secret of a client whose access tokens open the administration API, as the client credentials of an
    /// operator do.
    pub administrator: Option<(String, String)>,
}

/// A free port of this machine, a random token, nothing kept.
impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            token: None,
            state_file: None,
            envelope: false,
            scopes: DEFAULT_SCOPES.map(str::to_owned).to_vec(),
            administrator: None,
        }
    }
}

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: JoinHandle<()>,
    _stop: DropGuard,
}

impl Emulator {
    /// Starts to serve; when this returns, connections are accepted.
    ///
    /// # Errors
    /// The address is taken, the state file cannot be used, or there is no randomness for a token.
    #[allow(
        clippy::unused_async,
        reason = "it spawns tasks, so it must run in a runtime"
    )]
    pub async fn start(options: Options) -> Result<Self, EmulatorError> {
        let (file, clients) = match &options.state_file {
            Some(path) => StateFile::open(path).map(|(file, clients)| (Some(file), clients))?,
            None => (None, Vec::new()),
        };
        let listen_error = |reason| EmulatorError::Listen {
            address: options.listen,
            reason,
        };
        let listener = listen::listen(options.listen).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let token = match options.token {
            Some(token) => token,
            None => random::secret().map_err(|_| EmulatorError::NoRandomness)?,
        };

        let journal = Journal::new();
        for client in &clients {
            journal.keep_secret(&client.client_secret);
        }
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            faults: Faults::default(),
            journal,
            scopes: options.scopes.into_iter().collect(),
            stop: stop.clone(),
            work: TaskTracker::new(),
            cut: watch::Sender::new(()),
            token: Mutex::default(),
            administrator: Mutex::default(),
            state: Mutex::new(State::new(clients)),
            file,
        });
        shared.set_token(token);
        if let Some((client_id, client_secret)) = options.administrator {
            shared
                .set_administrator(client_id, client_secret)
                .map_err(|_| EmulatorError::NoRandomness)?;
        }
        shared.faults.set_envelope(options.envelope);

        let router = routes::router(Arc::clone(&shared));
        let server = tokio::spawn(server::serve(
            listener,
            router,
            shared.cut.subscribe(),
            stop.clone(),
        ));
        let emulator = Self {
            shared,
            address,
            server,
            _stop: stop.drop_guard(),
        };
        tracing::warn!(
            base_url = emulator.base_url(),
            "THIS IS NOT THE VENDOR: an emulator of the Provident API is listening; its clients give access to nothing"
        );
        Ok(emulator)
    }

    /// Where the API is: `http://127.0.0.1:<port>/v2`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// Where the page and the API are; to start another emulator in this one's place.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bearer token in force.
    #[must_use]
    pub fn token(&self) -> String {
        self.shared.token()
    }

    /// Puts another bearer token in force; the former one is answered 401 from now on.
    pub fn set_token(&self, token: &str) {
        self.shared.set_token(token.to_owned());
    }

    /// A new client whose access tokens open the administration API, as the client credentials of an operator do.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn administrator(&self) -> Result<StoredClient, EmulatorError> {
        self.shared
            .administrator()
            .map_err(|_| EmulatorError::NoRandomness)
    }

    /// Every access token issued so far is worth nothing from now on.
    pub fn revoke_tokens(&self) {
        self.shared.change(State::revoke);
    }

    /// Limits the rate of requests from now on, or no longer. Rejected requests are answered 429 and not carried out.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.faults.set_rate_limit(limit);
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// All clients, oldest first.
    #[must_use]
    pub fn clients(&self) -> Vec<StoredClient> {
        self.shared.state().clients()
    }

    /// The client of this clientId.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<StoredClient> {
        self.shared.state().client(client_id).cloned()
    }

    /// The client whose access token this is: issued here, not expired, its client active.
    #[must_use]
    pub fn token_owner(&self, access_token: &str) -> Option<StoredClient> {
        self.shared
            .state()
            .token_owner(access_token, now())
            .cloned()
    }

    /// Changes a client as if in the vendor's own pages, past all validation; false if there is none.
    #[must_use]
    pub fn edit(&self, client_id: &str, change: impl FnOnce(&mut StoredClient)) -> bool {
        self.shared
            .change(|state| state.edit(client_id, change, now()))
    }

    /// Makes a client vanish, which the vendor's API cannot do; false if there is none.
    #[must_use]
    pub fn remove(&self, client_id: &str) -> bool {
        self.shared.change(|state| state.remove(client_id))
    }

    /// The calls so far, oldest first; of very many, the last 10,000.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.journal.calls()
    }

    /// Calls of this operation so far, whatever became of them.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.shared.journal.count(operation).read
    }

    /// Calls of this operation that were carried out. For creates: clients made.
    #[must_use]
    pub fn commits(&self, operation: Operation) -> usize {
        self.shared.journal.count(operation).done
    }

    /// The most calls that were ever carried out at once.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.journal.most_in_flight()
    }

    /// Waits until the condition holds. It is checked again whenever a call arrives, is carried out or is answered.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.shared.journal.subscribe();
        while !condition(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Everything confidential that was ever in force here: bearer tokens, client secrets, access tokens. For scans of
    /// logs and objects that must hold none of it.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.shared.journal.secrets()
    }

    /// Closes all connections, idle ones too, as a vendor's load balancer does. Calls in flight are still carried out.
    pub fn close_connections(&self) {
        self.shared.cut.send_replace(());
    }

    /// Stops: when this returns, the port is free, all connections are closed, and nothing more is carried out.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        // It ends by itself and has nothing to say; a panic in it was printed when it happened.
        let _ = self.server.await;
        self.shared.work.close();
        self.shared.work.wait().await;
    }
}
