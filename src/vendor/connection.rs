//! One account at the vendor, as all its clients share it: token, limits, breaker, and what is known of its health.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rand;

use super::call::CallObserver;
use super::client::{Client, ClientError};
use super::http::NetworkPolicy;
use super::limiter::{Limiter, RetryAfter};
use super::token::Credential;
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::ClientId;

/// Whose turn a probe takes: no namespace has this name.
const PROBES: &str = "";

/// What a connection is made of.
pub struct AccountConfig {
    /// The vendor's address, without a trailing slash.
    pub base_url: String,
    /// What proves who the operator is.
    pub credential: Credential,
    /// How the host is reached.
    pub network: NetworkPolicy,
    /// The most requests per second.
    pub per_second: NonZeroU32,
    /// Tells this credential at this URL from any other, and reveals neither.
    pub fingerprint: String,
    /// Is told of each request.
    pub observer: CallObserver,
}

/// A connection that may be used.
pub struct VendorConnection {
    /// Asks the vendor.
    pub client: Client,
    /// Rate and bound of what is asked.
    pub limiter: Limiter,
    /// Tells this credential at this URL from any other, and reveals neither.
    pub fingerprint: String,
    network: NetworkPolicy,
    breaker_open: AtomicBool,
    troubled: AtomicBool,
    away: AtomicBool,
    answered: AtomicBool,
    proven: AtomicBool,
    recovered: AtomicBool,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The vendor answers, and takes the token.
    Answered,
    /// The vendor refuses the token.
    Rejected,
    /// Not reached, 5xx or 429, as the error says: nothing about the token.
    Away(CallError),
}

impl VendorConnection {
    /// Sets up a connection; nothing is sent. A `former` one of the same URL and credential hands on what is known.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn new(
        setup: AccountConfig,
        proven: bool,
        former: Option<&Self>,
    ) -> Result<Self, ClientError> {
        let flag = |of: fn(&Self) -> &AtomicBool| {
            AtomicBool::new(former.is_some_and(|former| of(former).load(Ordering::SeqCst)))
        };
        Ok(Self {
            client: Client::new(
                &setup.base_url,
                setup.credential,
                &setup.network,
                setup.observer,
            )?,
            limiter: Limiter::new(setup.per_second),
            fingerprint: setup.fingerprint,
            network: setup.network,
            breaker_open: flag(|former| &former.breaker_open),
            // Whether the vendor is reached in the new way is to be seen.
            troubled: AtomicBool::new(former.is_some()),
            away: AtomicBool::new(false),
            answered: flag(|former| &former.answered),
            proven: AtomicBool::new(proven),
            recovered: AtomicBool::new(false),
        })
    }

    /// Whether a connection of this set-up would be this one.
    #[must_use]
    pub fn is_of(&self, setup: &AccountConfig) -> bool {
        self.fingerprint == setup.fingerprint
            && self.limiter.per_second() == setup.per_second
            && self.network == setup.network
    }

    /// An unknown outcome stops creates until a probe is answered, so that an outage costs at most those in flight.
    pub fn open_breaker(&self) {
        self.breaker_open.store(true, Ordering::SeqCst);
    }

    /// Whether creates are stopped.
    #[must_use]
    pub fn is_breaker_open(&self) -> bool {
        self.breaker_open.load(Ordering::SeqCst)
    }

    /// Notes that a call failed in a way that is the connection's, not the client's.
    pub fn trouble(&self) {
        self.troubled.store(true, Ordering::SeqCst);
    }

    /// Whether the last probe found nobody: then nothing is sent but probes, one at a time.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Whether the vendor has answered a probe of this process.
    #[must_use]
    pub fn has_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }

    /// Whether the connection should be probed.
    #[must_use]
    pub fn needs_probe(&self) -> bool {
        self.is_breaker_open() || self.troubled.load(Ordering::SeqCst)
    }

    /// Whether a probe has just ended a trouble that others wait for, so that they should look again; tells it once.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered.swap(false, Ordering::SeqCst)
    }

    /// Notes a 200 for a bound client: right token, right account. Returns whether that is news.
    pub fn prove(&self) -> bool {
        !self.proven.swap(true, Ordering::SeqCst)
    }

    /// Whether a bound client was answered with 200 since URL and credential last changed. Only then is a 404 believed.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::SeqCst)
    }

    /// Asks for `bound`, else for a random clientId, which a vendor that takes the token answers with 404. An answer
    /// closes the breaker.
    ///
    /// # Errors
    /// [`RetryAfter`] when the limiter has no turn now.
    pub async fn probe(&self, bound: Option<ClientId>) -> Result<Probe, RetryAfter> {
        let mut answer = match &bound {
            Some(id) => self.ask(id).await?,
            None => self.ask_for_nobody().await?,
        };
        match &answer {
            Ok(()) if bound.is_some() => {
                self.prove();
            }
            // It may be this one client's own trouble.
            Err(CallError::Forbidden | CallError::Status(_)) if bound.is_some() => {
                answer = self.ask_for_nobody().await?;
            }
            _ => {}
        }
        let probe = match answer {
            Err(CallError::Unauthorized | CallError::Forbidden) => Probe::Rejected,
            Err(error @ CallError::Throttled(_)) => Probe::Away(error),
            Err(error) if error.is_outage() => Probe::Away(error),
            Ok(()) | Err(_) => Probe::Answered,
        };
        let answered = probe == Probe::Answered;
        let was_away = self
            .away
            .swap(matches!(probe, Probe::Away(_)), Ordering::SeqCst);
        if !matches!(probe, Probe::Away(_)) {
            let was_open = self.breaker_open.swap(false, Ordering::SeqCst);
            self.troubled.store(!answered, Ordering::SeqCst);
            self.answered.store(answered, Ordering::SeqCst);
            self.recovered
                .store(answered && (was_away || was_open), Ordering::SeqCst);
        }
        Ok(probe)
    }

    async fn ask_for_nobody(&self) -> Result<Result<(), CallError>, RetryAfter> {
        match random_client_id() {
            Some(id) => self.ask(&id).await,
            None => Ok(Err(CallError::Unreachable(
                "the system's random source failed",
            ))),
        }
    }

    async fn ask(&self, id: &ClientId) -> Result<Result<(), CallError>, RetryAfter> {
        let permit = self.limiter.permit(PROBES).await?;
        let answer = self.client.get(permit, id).await.map(|_| ());
        if let Err(CallError::Throttled(retry_after)) = &answer {
            self.limiter.back_off(*retry_after);
        }
        Ok(answer)
    }
}

fn random_client_id() -> Option<ClientId> {
    ClientId::parse(&random_hex().ok()?)
}

/// 32 hexadecimal digits from the system's random source.
///
/// # Errors
/// The source fails.
pub fn random_hex() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat())
}
