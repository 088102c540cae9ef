//! The vendor's patience: a rate and a bound on what is in flight, shared by all clients of one connection.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests in flight per connection.
const IN_FLIGHT: usize = 32;
/// How long a caller is kept waiting for its turn; beyond it is sent away to come back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Waits asked for by `Retry-After` beyond this are cut, so that one absurd answer does not stop a connection for good.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The wait after a 429 without a readable `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// Shared by all calls over one connection.
pub struct Limiter {
    per_second: NonZeroU32,
    rate: DefaultDirectRateLimiter,
    slots: Arc<Semaphore>,
    not_before: Mutex<Option<Instant>>,
}

/// The right to send one request.
pub struct Permit(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// There is no turn now; come back after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled(pub Duration);

impl Limiter {
    /// Lets `per_second` requests a second through, with bursts of that size.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            rate: RateLimiter::direct(Quota::per_second(per_second)),
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
            not_before: Mutex::new(None),
        }
    }

    /// Requests let through in a second.
    #[must_use]
    pub fn per_second(&self) -> NonZeroU32 {
        self.per_second
    }

    /// Waits for a turn, for two seconds at most.
    ///
    /// # Errors
    /// [`Throttled`] when the turn is further away, or the vendor asked for a pause.
    pub async fn permit(&self) -> Result<Permit, Throttled> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let pause = self.pause();
            if !pause.is_zero() {
                return Err(Throttled(pause));
            }
            let Err(not_yet) = self.rate.check() else {
                break;
            };
            let wait = not_yet.wait_time_from(DefaultClock::default().now());
            if Instant::now() + wait > deadline {
                return Err(Throttled(wait));
            }
            tokio::time::sleep(wait).await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Permit(slot)),
            _ => Err(Throttled(PATIENCE)),
        }
    }

    /// Takes the vendor's wish for a pause; for all clients of the connection.
    pub fn back_off(&self, retry_after: Option<Duration>) -> Duration {
        let pause = retry_after.unwrap_or(DEFAULT_PAUSE).min(LONGEST_PAUSE);
        let mut not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *not_before = (*not_before).max(Some(Instant::now() + pause));
        pause
    }

    // What is left of the pause the vendor asked for.
    fn pause(&self) -> Duration {
        let not_before = self
            .not_before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        not_before.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(Instant::now())
        })
    }
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110 §10.2.3); `None` for anything else.
#[must_use]
pub fn parse_retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Some(Duration::try_from(now.duration_until(date)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s13_retry_after_is_read_as_seconds_or_date_and_never_trusted_blindly() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(parse_retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            parse_retry_after("Thu, 01 Jan 2026 00:00:30 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(
            parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        for odd in ["", "soon", "-1", "1e9", "99999999999999999999999"] {
            assert_eq!(parse_retry_after(odd, now), None, "{odd}");
        }
        let limiter = Limiter::new(NonZeroU32::MIN);
        assert_eq!(
            limiter.back_off(Some(Duration::from_secs(u64::MAX))),
            LONGEST_PAUSE
        );
        assert_eq!(limiter.back_off(None), DEFAULT_PAUSE);
    }

    #[tokio::test]
    async fn s13_a_pause_holds_for_every_caller() {
        let limiter = Limiter::new(NonZeroU32::new(100).unwrap());
        assert!(limiter.permit().await.is_ok());
        limiter.back_off(Some(Duration::from_mins(1)));
        assert!(
            matches!(limiter.permit().await, Err(Throttled(wait)) if wait > Duration::from_secs(55))
        );
    }
}
