//! One account at the vendor, as all its clients share it: token, limits, breaker, and what is known of its health.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rand;
use secrecy::SecretString;

use super::client::{Client, ClientError};
use super::error::CallError;
use super::limiter::{Limiter, Throttled};
use super::types::ClientId;

/// A connection that may be used.
pub struct Connection {
    /// Asks the vendor.
    pub client: Client,
    /// Rate and bound of what is asked.
    pub limiter: Limiter,
    /// Tells this credential at this URL from any other, and reveals neither.
    pub fingerprint: String,
    breaker_open: AtomicBool,
    troubled: AtomicBool,
    proven: AtomicBool,
    recovered: AtomicBool,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The vendor answers, and takes the token.
    Answered,
    /// The vendor refuses the token.
    Rejected,
    /// Not reached, 5xx or 429: says nothing about the token.
    Away,
}

impl Connection {
    /// Sets up a connection; nothing is sent.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn new(
        base_url: &str,
        token: &SecretString,
        per_second: NonZeroU32,
        fingerprint: String,
        proven: bool,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            client: Client::new(base_url, token)?,
            limiter: Limiter::new(per_second),
            fingerprint,
            breaker_open: AtomicBool::new(false),
            troubled: AtomicBool::new(false),
            proven: AtomicBool::new(proven),
            recovered: AtomicBool::new(false),
        })
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

    /// Whether the connection should be probed.
    #[must_use]
    pub fn needs_probe(&self) -> bool {
        self.is_breaker_open() || self.troubled.load(Ordering::SeqCst)
    }

    /// Whether a probe has just ended a trouble, so that those who wait should look again; tells it once.
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
    /// [`Throttled`] when the limiter has no turn now.
    pub async fn probe(&self, bound: Option<ClientId>) -> Result<Probe, Throttled> {
        let permit = self.limiter.permit().await?;
        let Some(id) = bound.or_else(random_client_id) else {
            return Ok(Probe::Away);
        };
        let probe = match self.client.get(permit, &id).await {
            Ok(_) => {
                self.prove();
                Probe::Answered
            }
            Err(CallError::Unauthorized | CallError::Forbidden) => Probe::Rejected,
            Err(CallError::Throttled(retry_after)) => {
                self.limiter.back_off(retry_after);
                Probe::Away
            }
            Err(error) if error.is_outage() => Probe::Away,
            Err(_) => Probe::Answered,
        };
        if probe != Probe::Away {
            let ended = self.breaker_open.swap(false, Ordering::SeqCst);
            let ended = self
                .troubled
                .swap(probe != Probe::Answered, Ordering::SeqCst)
                || ended;
            self.recovered
                .store(ended && probe == Probe::Answered, Ordering::SeqCst);
        }
        Ok(probe)
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
