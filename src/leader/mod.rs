//! Who leads: of several processes one works, and the others stand by with their caches filled.
//!
//! The leader holds a Lease (`coordination.k8s.io/v1`), written with its `resourceVersion`, so that of two that want it one
//! gets it. That saves work and no more: what makes a create happen once is its claim, whoever leads.
//!
//! After a crash another one leads within 18 s; after an [`Election::run`] that was stopped, at its next read of the lease.

mod candidate;
mod read;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DynamicObject, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::candidate::{Candidate, Step, TRY_WITHIN};
use crate::cluster;
use crate::jitter::jittered;
use crate::metrics::Metrics;
use crate::state::leadership::Leadership;
use provident_core::api::MANAGER;

/// How often a lease that another process holds is read, less up to a fifth, so that not all candidates read it at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Giving it back is tried so often. Without it the others wait until the lease is old.
const RELEASE_TRIES: usize = 2;

/// The lease was held, and is not any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "lost the lease {lease}: it could not be renewed in time, or another process took it. This one stores what it was \
     answered and ends, to be started again"
)]
pub struct Lost {
    /// Namespace and name.
    pub lease: String,
}

/// Why a request about the lease did not do it.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{}", cluster::describe(.0))]
    Cluster(#[from] kube::Error),
    #[error("no answer within {TRY_WITHIN:?}")]
    NoAnswer,
}

/// One process' part in the election.
pub struct Election {
    api: Api<Lease>,
    /// Reads the same Lease without decoding it.
    reader: Api<DynamicObject>,
    /// Namespace and name, for the log.
    lease: String,
    name: String,
    candidate: Candidate,
    term: watch::Sender<Option<Instant>>,
    metrics: Metrics,
    /// The holder that was last logged.
    logged_holder: Option<String>,
    /// Whether the last request failed, so that a long outage is logged once.
    failing: bool,
}

impl Election {
    /// Takes part in the election over the Lease `name` in `namespace`, once it is [run](Self::run). `pod` is how the
    /// holder's name begins, so that a person finds it; a restarted pod of that name is another holder.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        pod: &str,
        metrics: Metrics,
    ) -> (Self, Leadership) {
        let identity = format!("{pod}_{:016x}", random());
        let (term, held) = watch::channel(None);
        let election = Self {
            reader: read::api(client.clone(), namespace),
            api: Api::namespaced(client, namespace),
            lease: format!("{namespace}/{name}"),
            name: name.to_owned(),
            candidate: Candidate::new(name, identity, Instant::now()),
            term,
            metrics,
            logged_holder: None,
            failing: false,
        };
        (election, Leadership::new(held))
    }

    /// Waits for the lease and keeps it until `stop` is cancelled; then gives it back. No request is cut short by that: a
    /// write on its way would take the lease for a process that has left.
    ///
    /// # Errors
    /// The lease was held and is lost. This process does not try to get it again, because what it knows may be out of date.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Lost> {
        loop {
            if stop.is_cancelled() {
                self.release().await;
                return Ok(());
            }
            let started = Instant::now();
            match self.candidate.next(started, Timestamp::now()) {
                Step::Look => {
                    let found = within(read::lease(&self.reader, &self.name)).await;
                    self.looked(found, started);
                }
                Step::Write(lease) => {
                    let written = within(self.write(&lease)).await;
                    self.wrote(written, started);
                }
                Step::Wait(wait) => {
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
                Step::Lost => {
                    self.metrics.leads(false);
                    self.term.send_replace(None);
                    let lost = Lost { lease: self.lease };
                    warn!(error = %lost, "Leadership lost; not starting new work");
                    return Err(lost);
                }
            }
        }
    }

    async fn write(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let post = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        if lease.metadata.resource_version.is_some() {
            self.api.replace(&self.name, &post, lease).await
        } else {
            self.api.create(&post, lease).await
        }
    }

    fn looked(&mut self, found: Result<Option<Lease>, Trouble>, started: Instant) {
        match found {
            Ok(lease) => {
                self.failing = false;
                self.candidate
                    .looked(lease, Instant::now(), jittered(LOOK_EVERY));
                let other = self.candidate.other();
                if self.logged_holder.as_deref() != other {
                    self.logged_holder = other.map(str::to_owned);
                    if let Some(leader) = other {
                        info!(
                            lease = self.lease,
                            leader, "Standing by; another replica leads"
                        );
                    }
                }
            }
            Err(trouble) => self.failed(&trouble, started),
        }
    }

    fn wrote(&mut self, written: Result<Lease, Trouble>, started: Instant) {
        match written {
            Ok(lease) => {
                self.failing = false;
                if self.candidate.until().is_none() {
                    info!(lease = self.lease, "Became the leader");
                    self.metrics.leads(true);
                }
                self.candidate.wrote(lease, started);
                self.term.send_replace(self.candidate.until());
            }
            // Somebody else was first, a write of ours came through after all, or the lease was deleted.
            Err(Trouble::Cluster(error))
                if cluster::is_conflict(&error)
                    || cluster::is_already_exists(&error)
                    || cluster::is_not_found(&error) =>
            {
                self.candidate.refused(Instant::now());
            }
            Err(trouble) => self.failed(&trouble, started),
        }
    }

    fn failed(&mut self, trouble: &Trouble, started: Instant) {
        if !std::mem::replace(&mut self.failing, true) {
            warn!(error = %trouble, lease = self.lease, "Failed to read or write the Lease, will retry");
        }
        self.candidate.failed(started);
    }

    // Also where nothing is known of having it: the answer to a write may have been lost.
    async fn release(&self) {
        self.metrics.leads(false);
        self.term.send_replace(None);
        for _ in 0..RELEASE_TRIES {
            match within(self.give_back()).await {
                Ok(()) => return,
                Err(error) => warn!(%error, lease = self.lease, "Failed to release the Lease"),
            }
        }
    }

    async fn give_back(&self) -> Result<(), kube::Error> {
        let Some(lease) = read::lease(&self.reader, &self.name).await? else {
            return Ok(());
        };
        if let Some(released) = self.candidate.released(&lease, Timestamp::now()) {
            self.write(&released).await?;
            info!(lease = self.lease, "Released the Lease");
        }
        Ok(())
    }
}

async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Trouble> {
    match tokio::time::timeout(TRY_WITHIN, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::NoAnswer),
    }
}

// Its keys come from the system, and it cannot fail.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests;
