//! The bearer token of a connection: from a Secret, or obtained with client credentials (RFC 6749 section 4.4).
//!
//! All calls share an obtained token. One call at a time renews it shortly before it expires, and no other call waits for
//! that while it is still good. Whatever lifetime the vendor states, at least five seconds pass between two requests.

mod grant;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::grant::{TokenResponse, fetch};
use super::call::{CallObserver, Operation, observed};
use super::health::HealthTracker;
use provident_core::vendor::error::TokenError;

/// Between two fetches.
const APART: Duration = Duration::from_secs(5);
/// The longest wait after fetches that failed.
const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// A token is renewed so long before it runs out, or a fifth of its lifetime if that is less.
const MARGIN: Duration = Duration::from_mins(1);

/// What proves who the operator is.
#[derive(Clone)]
pub enum Credential {
    /// A bearer token.
    Token(SecretString),
    /// Client credentials that are exchanged for a token.
    Client {
        /// `client_id`
        id: String,
        /// `client_secret`
        secret: SecretString,
    },
}

impl Credential {
    /// Its parts, for a fingerprint.
    #[must_use]
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Token(token) => vec![token.expose_secret()],
            Self::Client { id, secret } => vec!["client", id, secret.expose_secret()],
        }
    }
}

/// The tokens of one connection.
pub(super) enum Tokens {
    Fixed(HeaderValue),
    Granted(Box<Granted>),
}

pub(super) struct Granted {
    http: reqwest::Client,
    url: String,
    id: String,
    secret: SecretString,
    observer: CallObserver,
    health: Arc<HealthTracker>,
    cache: Mutex<Option<CachedToken>>,
    refresh: tokio::sync::Mutex<RefreshState>,
    refreshed: AtomicBool,
}

struct CachedToken {
    header: HeaderValue,
    issued_at: Instant,
    renew_at: Instant,
    ends_at: Instant,
    expires: Option<Timestamp>,
}

// Whoever holds the lock may request a token, one at a time.
#[derive(Default)]
struct RefreshState {
    failures: u32,
    not_before: Option<Instant>,
    /// Why the last request failed.
    error: Option<TokenError>,
}

enum CacheState {
    Fresh(HeaderValue),
    /// Still good, and to be renewed.
    Aging(HeaderValue),
    Empty,
}

impl Tokens {
    /// `None` if the token has characters that no header can carry.
    pub(super) fn new(
        http: reqwest::Client,
        url: String,
        credential: Credential,
        observer: CallObserver,
        health: Arc<HealthTracker>,
    ) -> Option<Self> {
        match credential {
            Credential::Token(token) => bearer(token.expose_secret()).map(Self::Fixed),
            Credential::Client { id, secret } => Some(Self::Granted(Box::new(Granted {
                http,
                url,
                id,
                secret,
                observer,
                health,
                cache: Mutex::new(None),
                refresh: tokio::sync::Mutex::default(),
                refreshed: AtomicBool::new(false),
            }))),
        }
    }

    /// A token for a call, requested if none is cached.
    pub(super) async fn get(&self) -> Result<HeaderValue, TokenError> {
        match self {
            Self::Fixed(header) => Ok(header.clone()),
            Self::Granted(granted) => granted.get().await,
        }
    }

    /// The cached token, for a call that has no time to request one.
    pub(super) fn cached(&self) -> Option<HeaderValue> {
        match self {
            Self::Fixed(header) => Some(header.clone()),
            Self::Granted(granted) => match granted.cached() {
                CacheState::Fresh(header) | CacheState::Aging(header) => Some(header),
                CacheState::Empty => None,
            },
        }
    }

    /// Notes that the vendor refused this token. Returns whether another one can be obtained, so that the call may be repeated.
    ///
    /// A token that was issued only seconds ago is kept: the vendor may refuse it for one client only, whose calls must
    /// not take the token away from all others.
    pub(super) fn drop_refused(&self, header: &HeaderValue) -> bool {
        let Self::Granted(granted) = self else {
            return false;
        };
        let mut cache = granted.cache.lock();
        match &*cache {
            Some(cached) if cached.header != *header => true,
            Some(cached) if cached.issued_at.elapsed() < APART => false,
            _ => {
                *cache = None;
                true
            }
        }
    }

    /// Whether a token was obtained since this was last called.
    pub(super) fn take_refreshed(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Granted(granted) => granted.refreshed.swap(false, Ordering::SeqCst),
        }
    }

    /// When the token runs out, if that is known.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Fixed(_) => None,
            Self::Granted(granted) => {
                let cache = granted.cache.lock();
                cache.as_ref().and_then(|cached| cached.expires)
            }
        }
    }
}

impl Granted {
    async fn get(&self) -> Result<HeaderValue, TokenError> {
        let mut refresh = match self.cached() {
            CacheState::Fresh(header) => return Ok(header),
            CacheState::Aging(header) => match self.refresh.try_lock() {
                Ok(mut refresh) => return Ok(self.fetch(&mut refresh).await.unwrap_or(header)),
                Err(_) => return Ok(header),
            },
            CacheState::Empty => self.refresh.lock().await,
        };
        // Another call may have obtained one meanwhile.
        match self.cached() {
            CacheState::Fresh(header) | CacheState::Aging(header) => Ok(header),
            CacheState::Empty => self.fetch(&mut refresh).await,
        }
    }

    async fn fetch(&self, refresh: &mut RefreshState) -> Result<HeaderValue, TokenError> {
        if refresh.not_before.is_some_and(|at| at > Instant::now()) {
            return Err(refresh.error.clone().unwrap_or(TokenError::Throttled(None)));
        }
        let request = fetch(&self.http, &self.url, &self.id, &self.secret);
        let fetched = observed(&self.observer, Operation::Token, request).await;
        let now = Instant::now();
        let wait = match &fetched {
            Ok(token) => {
                let lifetime = token.lifetime;
                *self.cache.lock() = Some(CachedToken {
                    header: token.header.clone(),
                    issued_at: now,
                    renew_at: now + lifetime - MARGIN.min(lifetime / 5),
                    ends_at: now + lifetime.max(APART),
                    expires: token.stated.then(|| Timestamp::now() + lifetime),
                });
                self.refreshed.store(true, Ordering::SeqCst);
                refresh.failures = 0;
                APART
            }
            Err(error) => {
                let asked = match error {
                    TokenError::Throttled(retry_after) => retry_after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let grown = APART
                    .saturating_mul(1 << refresh.failures.min(5))
                    .max(asked);
                refresh.failures += 1;
                grown.min(LONGEST_WAIT)
            }
        };
        refresh.not_before = Some(now + wait);
        refresh.error = fetched.as_ref().err().cloned();
        self.health.token_response(refresh.error.clone());
        fetched.map(|TokenResponse { header, .. }| header)
    }

    fn cached(&self) -> CacheState {
        let now = Instant::now();
        match &*self.cache.lock() {
            Some(cached) if now < cached.renew_at => CacheState::Fresh(cached.header.clone()),
            Some(cached) if now < cached.ends_at => CacheState::Aging(cached.header.clone()),
            _ => CacheState::Empty,
        }
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests;
