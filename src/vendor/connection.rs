//! One account at the vendor, as all its clients share it: token, limits, breaker, and what is known of its health.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::rand;

use super::call::CallObserver;
use super::client::{Client, ClientError};
use super::health::{ApiHealth, Health, HealthListener, HealthTracker};
use super::http::NetworkPolicy;
use super::limiter::{Limiter, RetryAfter};
use super::token::Credential;
use provident_core::binding::hex;
use provident_core::vendor::error::{CallError, TokenError};
use provident_core::vendor::types::ClientId;

/// The name under which probes take their share of the rate: no namespace has it.
const PROBES: &str = "";

/// What a connection is made of.
pub struct AccountConfig {
    /// The vendor's address, without a trailing slash.
    pub base_url: String,
    /// Proves who the operator is.
    pub credential: Credential,
    /// How the host is reached.
    pub network: NetworkPolicy,
    /// The most requests per second.
    pub per_second: NonZeroU32,
    /// Tells this credential at this URL from any other, and reveals neither.
    pub fingerprint: String,
    /// Called for each request.
    pub observer: CallObserver,
    /// Called when the health of the connection may have changed.
    pub health_listener: HealthListener,
}

/// What is known about a connection from its status.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proofs {
    /// The vendor accepted this credential at this URL, and that is the last that was reported.
    pub credential_accepted: bool,
    /// The vendor returned a client that is bound to one of our objects: it is the right account.
    pub account_verified: bool,
}

/// A connection that may be used.
pub struct VendorConnection {
    /// Calls the vendor.
    pub client: Client,
    /// The rate and the number of requests in flight.
    pub limiter: Limiter,
    /// Tells this credential at this URL from any other, and reveals neither.
    pub fingerprint: String,
    network: NetworkPolicy,
    health: Arc<HealthTracker>,
    breaker_open: AtomicBool,
    responded: AtomicBool,
    account_verified: AtomicBool,
    recovered: AtomicBool,
}

impl VendorConnection {
    /// Sets up a connection; nothing is sent. A `former` one of the same URL and credential hands on what is known.
    ///
    /// # Errors
    /// See [`Client::new`].
    pub fn new(
        config: AccountConfig,
        proofs: Proofs,
        former: Option<&Self>,
    ) -> Result<Self, ClientError> {
        let flag = |of: fn(&Self) -> &AtomicBool| {
            AtomicBool::new(former.is_some_and(|former| of(former).load(Ordering::SeqCst)))
        };
        let listener = Some(config.health_listener);
        let health = Arc::new(HealthTracker::new(proofs.credential_accepted, listener));
        let connection = Self {
            client: Client::new(
                &config.base_url,
                config.credential,
                &config.network,
                config.observer,
                Arc::clone(&health),
            )?,
            limiter: Limiter::new(config.per_second),
            fingerprint: config.fingerprint,
            network: config.network,
            health,
            breaker_open: flag(|former| &former.breaker_open),
            responded: flag(|former| &former.responded),
            account_verified: AtomicBool::new(proofs.account_verified),
            recovered: AtomicBool::new(false),
        };
        if former.is_some() {
            // Whether the vendor is reached in the new way is not known yet.
            connection.health.request_probe();
        }
        Ok(connection)
    }

    /// Whether a connection of this configuration would be this one.
    #[must_use]
    pub fn is_of(&self, config: &AccountConfig) -> bool {
        self.fingerprint == config.fingerprint
            && self.limiter.per_second() == config.per_second
            && self.network == config.network
    }

    /// What the last responses say about the connection.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.health()
    }

    /// An unknown outcome stops creates until a probe gets a response, so that an outage costs at most those in flight.
    pub fn open_breaker(&self) {
        self.breaker_open.store(true, Ordering::SeqCst);
        self.health.request_probe();
    }

    /// Whether creates are stopped.
    #[must_use]
    pub fn is_breaker_open(&self) -> bool {
        self.breaker_open.load(Ordering::SeqCst)
    }

    /// Asks the connection's controller for a probe. Failed calls do so already.
    pub fn request_probe(&self) {
        self.health.request_probe();
    }

    /// Whether the vendor does not respond. Then nothing is sent but probes, one at a time.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        // While a cached token is good, the token endpoint is not needed.
        let needs_token_endpoint = || !self.client.has_token();
        match self.health.health() {
            Health::Unreachable(_) => self.health.is_api_unreachable() || needs_token_endpoint(),
            _ => false,
        }
    }

    /// Whether the last responses allow calls for clients at all; see [`Self::is_unreachable`] for those that pass.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self.health.health() {
            Health::Ready
            | Health::Unverified(_)
            | Health::Unreachable(_)
            | Health::UnexpectedCreateResponse(_) => true,
            Health::CredentialsRejected(_) | Health::UnexpectedResponse(_) => {
                self.health.is_api_accepted() && self.client.has_token()
            }
        }
    }

    /// Whether the vendor has responded to a probe of this process, and accepted the credential.
    #[must_use]
    pub fn has_responded(&self) -> bool {
        self.responded.load(Ordering::SeqCst)
    }

    /// Whether the connection should be probed.
    #[must_use]
    pub fn needs_probe(&self) -> bool {
        self.is_breaker_open() || self.health.needs_probe()
    }

    /// Whether the connection has recovered from a state that clients wait for, since this was last called.
    #[must_use]
    pub fn take_recovered(&self) -> bool {
        let closed = self.recovered.swap(false, Ordering::SeqCst);
        self.health.take_recovered() || closed
    }

    /// Notes a 200 for a bound client: right credential, right account. Returns whether that was not known.
    pub fn mark_account_verified(&self) -> bool {
        !self.account_verified.swap(true, Ordering::SeqCst)
    }

    /// Whether a bound client was returned since URL and credential last changed. Only then is a 404 believed.
    #[must_use]
    pub fn is_account_verified(&self) -> bool {
        self.account_verified.load(Ordering::SeqCst)
    }

    /// Asks for `bound`, else for a random clientId, and takes the result into [`Self::health`].
    ///
    /// What is proof: a 200 for a bound client. A 404 for a random clientId is what the API answers, but so does any
    /// other web server. It proves the connection if the account was verified before; otherwise only if the same request
    /// without the credential is refused with 401 or 403, as the API document requires and a web server that does not
    /// know the path does not do. The body of the 404 is not used: the API document does not define it.
    ///
    /// # Errors
    /// [`RetryAfter`] when the limiter has no permit now, or the vendor answers 429; what was known stays.
    pub async fn probe(&self, bound: Option<ClientId>) -> Result<(), RetryAfter> {
        let api = self.probe_api(bound).await?;
        if !matches!(api, ApiHealth::Unreachable(_)) {
            let accepted = matches!(api, ApiHealth::Accepted | ApiHealth::Unproven(_));
            let was_open = self.breaker_open.swap(false, Ordering::SeqCst);
            self.responded.store(accepted, Ordering::SeqCst);
            self.recovered
                .fetch_or(accepted && was_open, Ordering::SeqCst);
        }
        self.health.probed(api);
        Ok(())
    }

    async fn probe_api(&self, bound: Option<ClientId>) -> Result<ApiHealth, RetryAfter> {
        if let Some(id) = bound {
            match self.ask(&id, true).await? {
                Ok(()) => {
                    self.mark_account_verified();
                    return Ok(ApiHealth::Accepted);
                }
                Err(error @ (CallError::Unreachable(_) | CallError::Token(_))) => {
                    return Ok(of_failure(&error));
                }
                // It may be this one client's own problem.
                Err(_) => {}
            }
        }
        let Some(id) = random_client_id() else {
            return Ok(ApiHealth::Unreachable(
                "the system's random source failed".to_owned(),
            ));
        };
        let answer = self.ask(&id, true).await?;
        let status = match answer {
            Ok(()) => 200,
            Err(CallError::NotFound) => 404,
            Err(CallError::Status(status @ 400..=499)) => status,
            Err(error) => return Ok(of_failure(&error)),
        };
        if self.is_account_verified() {
            return Ok(ApiHealth::Accepted);
        }
        match self.ask(&id, false).await? {
            Err(CallError::Unauthorized | CallError::Forbidden) => Ok(ApiHealth::Accepted),
            Err(error) if error.is_outage() => Ok(of_failure(&error)),
            Ok(()) | Err(_) => Ok(ApiHealth::Unproven(format!(
                "it answers {status} with and without the credential"
            ))),
        }
    }

    async fn ask(
        &self,
        id: &ClientId,
        with_token: bool,
    ) -> Result<Result<(), CallError>, RetryAfter> {
        let permit = self.limiter.permit(PROBES).await?;
        let answer = if with_token {
            self.client.probe(permit, id).await
        } else {
            self.client.probe_without_token(permit, id).await
        };
        match answer {
            Err(CallError::Throttled(retry_after)) => {
                Err(RetryAfter(self.limiter.retry_delay(retry_after)))
            }
            Err(CallError::Token(TokenError::Throttled(retry_after))) => {
                Err(RetryAfter(retry_after.unwrap_or_default()))
            }
            answer => Ok(answer),
        }
    }
}

fn of_failure(error: &CallError) -> ApiHealth {
    let text = error.to_string();
    match error {
        CallError::Unauthorized
        | CallError::Forbidden
        | CallError::Token(TokenError::Refused { .. }) => ApiHealth::Rejected(text),
        error if error.is_outage() => ApiHealth::Unreachable(text),
        _ => ApiHealth::Unexpected(text),
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
    Ok(hex(&bytes))
}
