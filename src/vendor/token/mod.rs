//! The bearer token of a connection: as it stands in a Secret, or got with client credentials (RFC 6749 section 4.4).
//!
//! A token that was got is shared by all calls and renewed shortly before it runs out, by one call at a time; while it is
//! still good nobody waits for that. Whatever the vendor says of its lifetime, none is fetched within five seconds of
//! another.

mod grant;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::grant::{Grant, fetch};
use super::call::{CallObserver, Operation, observed};
use provident_core::vendor::error::CallError;

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
    /// With which a token is got.
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
    kept: Mutex<Option<Kept>>,
    flight: tokio::sync::Mutex<Flight>,
    new: AtomicBool,
}

struct Kept {
    header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
    expires: Option<Timestamp>,
}

// One at a time.
#[derive(Default)]
struct Flight {
    failures: u32,
    not_before: Option<(Instant, CallError)>,
}

enum AtHand {
    Good(HeaderValue),
    Aging(HeaderValue),
    Nothing,
}

impl Tokens {
    /// `None` if the token has characters that no header can carry.
    pub(super) fn new(
        http: reqwest::Client,
        url: String,
        credential: Credential,
        observer: CallObserver,
    ) -> Option<Self> {
        match credential {
            Credential::Token(token) => bearer(token.expose_secret()).map(Self::Fixed),
            Credential::Client { id, secret } => Some(Self::Granted(Box::new(Granted {
                http,
                url,
                id,
                secret,
                observer,
                kept: Mutex::new(None),
                flight: tokio::sync::Mutex::default(),
                new: AtomicBool::new(false),
            }))),
        }
    }

    /// A token for a call, fetched if need be.
    pub(super) async fn get(&self) -> Result<HeaderValue, CallError> {
        match self {
            Self::Fixed(header) => Ok(header.clone()),
            Self::Granted(granted) => granted.get().await,
        }
    }

    /// The token that is there already, for a call that has no time to fetch one.
    pub(super) fn at_hand(&self) -> Option<HeaderValue> {
        match self {
            Self::Fixed(header) => Some(header.clone()),
            Self::Granted(granted) => match granted.at_hand() {
                AtHand::Good(header) | AtHand::Aging(header) => Some(header),
                AtHand::Nothing => None,
            },
        }
    }

    /// Notes that the vendor refused this token. Whether another one may be had.
    pub(super) fn refused(&self, header: &HeaderValue) -> bool {
        let Self::Granted(granted) = self else {
            return false;
        };
        let mut kept = granted.kept();
        if kept.as_ref().is_some_and(|kept| kept.header == *header) {
            *kept = None;
        }
        true
    }

    /// Whether one was got since this was last asked.
    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Granted(granted) => granted.new.swap(false, Ordering::SeqCst),
        }
    }

    /// When the token runs out, if that is known.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Fixed(_) => None,
            Self::Granted(granted) => granted.kept().as_ref().and_then(|kept| kept.expires),
        }
    }
}

impl Granted {
    async fn get(&self) -> Result<HeaderValue, CallError> {
        let mut flight = match self.at_hand() {
            AtHand::Good(header) => return Ok(header),
            AtHand::Aging(header) => match self.flight.try_lock() {
                Ok(mut flight) => return Ok(self.fetch(&mut flight).await.unwrap_or(header)),
                Err(_) => return Ok(header),
            },
            AtHand::Nothing => self.flight.lock().await,
        };
        // Somebody else's flight may have brought one meanwhile.
        match self.at_hand() {
            AtHand::Good(header) | AtHand::Aging(header) => Ok(header),
            AtHand::Nothing => self.fetch(&mut flight).await,
        }
    }

    async fn fetch(&self, flight: &mut Flight) -> Result<HeaderValue, CallError> {
        if let Some((at, error)) = &flight.not_before
            && *at > Instant::now()
        {
            return Err(error.clone());
        }
        let request = fetch(&self.http, &self.url, &self.id, &self.secret);
        let fetched = observed(&self.observer, Operation::Token, request).await;
        let now = Instant::now();
        match fetched {
            Ok(Grant {
                header,
                lifetime,
                stated,
            }) => {
                let kept = Kept {
                    header: header.clone(),
                    renew_at: now + lifetime - MARGIN.min(lifetime / 5),
                    ends_at: now + lifetime.max(APART),
                    expires: stated.then(|| Timestamp::now() + lifetime),
                };
                *self.kept() = Some(kept);
                self.new.store(true, Ordering::SeqCst);
                flight.failures = 0;
                // One that is refused so soon is not replaced by yet another.
                flight.not_before = Some((now + APART, CallError::Unauthorized));
                Ok(header)
            }
            Err(error) => {
                let asked = match &error {
                    CallError::Throttled(retry_after) => retry_after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let grown = APART
                    .saturating_mul(1 << flight.failures.min(5))
                    .max(asked)
                    .min(LONGEST_WAIT);
                flight.failures += 1;
                flight.not_before = Some((now + grown, error.clone()));
                Err(error)
            }
        }
    }

    fn at_hand(&self) -> AtHand {
        let now = Instant::now();
        match &*self.kept() {
            Some(kept) if now < kept.renew_at => AtHand::Good(kept.header.clone()),
            Some(kept) if now < kept.ends_at => AtHand::Aging(kept.header.clone()),
            _ => AtHand::Nothing,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests;
