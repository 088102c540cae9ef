//! The operator's configuration, fixed at start.

use std::time::Duration;

use crate::cluster;

/// The operator's configuration, fixed at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's own namespace: tokens of cluster connections and the binding key live there.
    pub namespace: String,
    /// Namespaces whose clients are kept; empty means all.
    pub watch_namespaces: Vec<String>,
    /// Hosts that connections may name: `host`, `host:port`, or with `http://` before it to allow plain HTTP.
    pub allowed_hosts: Vec<String>,
    /// Hosts that connections may name, written the same way, and that may stand for an address of this machine, its
    /// network or the cluster.
    pub internal_hosts: Vec<String>,
    /// Whether the vendor is reached over the proxies that the environment names.
    pub proxy_from_env: bool,
    /// Whether cluster connections are used. Without them nothing without a namespace is asked for.
    pub cluster_connections: bool,
    /// Whether Secrets are listed and watched. Without that they are only read by name: whoever may list them may read all.
    pub watch_secrets: bool,
    /// Where Secrets are not watched, the credential of each connection is read so often.
    pub credential_poll: Duration,
    /// Name of the Secret with the binding key.
    pub binding_key_secret: String,
    /// Name of the Lease in [`Self::namespace`] that the process works under; without one it works at once.
    pub lease: Option<String>,
    /// How long an attempt of another process counts as one that may still run. Two minutes cover a create that is sent
    /// 5 s after its claim and answered 60 s later.
    pub attempt_wait: Duration,
    /// How long a watch may last before it is restarted; 5 s later the operator ends one that the server does not. A change
    /// may go unseen for that long on a TCP connection that died without a reset.
    pub watch_timeout: Duration,
    /// Objects reconciled at once, per watched namespace.
    pub max_concurrent_reconciles: u16,
    /// How long a stop waits for answers that are not stored yet.
    pub shutdown_grace_period: Duration,
}

impl Config {
    /// A watch that has been silent for this long counts as stalled: ten minutes. One that works ends
    /// after [`Config::watch_timeout`] at the latest, and two of them in a row may be begun too late to count.
    #[must_use]
    pub fn watch_stall_timeout(&self) -> Duration {
        self.watch_timeout * 2 + cluster::REQUEST_WITHIN
    }

    /// How long after its claim a process may write the Secret before status: well before any other process may take
    /// the attempt for over, the write's own time included (75 s and [`crate::cluster::REQUEST_WITHIN`] of 2 min).
    #[must_use]
    pub fn secret_first_within(&self) -> Duration {
        self.attempt_wait * 5 / 8
    }

    /// How far apart two GETs must lie to prove that an unanswered rotation will not be carried out any more: 60 s of
    /// the 2 min, since a rotation is sent within 5 s of its record and given up 30 s later.
    #[must_use]
    pub fn rotation_wait(&self) -> Duration {
        self.attempt_wait / 2
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: "provident-system".to_owned(),
            watch_namespaces: Vec::new(),
            allowed_hosts: vec!["api.provident.ae".to_owned()],
            internal_hosts: Vec::new(),
            proxy_from_env: false,
            cluster_connections: true,
            watch_secrets: true,
            credential_poll: Duration::from_secs(30),
            binding_key_secret: "provident-operator-binding-key".to_owned(),
            lease: None,
            attempt_wait: Duration::from_mins(2),
            watch_timeout: Duration::from_secs(290),
            max_concurrent_reconciles: 64,
            shutdown_grace_period: Duration::from_secs(75),
        }
    }
}
