//! A token bucket whose rate may be changed.

use std::time::Duration;

use tokio::time::Instant;

/// Holds the permits that are due.
pub(super) struct TokenBucket {
    rate: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        Self {
            rate,
            burst: rate,
            level: rate,
            at: now,
        }
    }

    /// Takes a token, or returns the time until there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.advance(now);
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        // A little more than needed: a wait that ends too early by rounding would be waited for again.
        let missing = (1.0 - self.level) / self.rate + 0.001;
        Err(Duration::from_secs_f64(missing))
    }

    /// Returns a token that was taken and not used.
    pub(super) fn give_back(&mut self) {
        self.level += 1.0;
    }

    /// From now on `rate` tokens a second, at most `burst` at once.
    pub(super) fn set(&mut self, now: Instant, rate: f64, burst: f64) {
        self.advance(now);
        self.rate = rate;
        self.burst = burst;
        self.level = self.level.min(self.most());
    }

    /// Nothing accumulates before `until`.
    pub(super) fn empty_until(&mut self, until: Instant) {
        self.level = 0.0;
        self.at = self.at.max(until);
    }

    /// The time between two tokens.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    // A rate below one a second still lets one through at a time.
    fn most(&self) -> f64 {
        self.burst.max(1.0)
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + self.rate * passed).min(self.most());
        self.at = self.at.max(now);
    }
}
