//! A rate that gives way to pressure and comes back: halved by a 429, grown by a twentieth a second after it.

use std::time::Duration;

use tokio::time::Instant;

/// What comes back of the full rate in a second without pressure.
const RECOVERY: f64 = 0.05;
/// The slowest pace is this part of the full one.
const SLOWEST: f64 = 1.0 / 32.0;

/// A token bucket whose rate moves.
pub(super) struct TokenBucket {
    most: f64,
    rate: f64,
    level: f64,
    at: Instant,
    recovers_from: Instant,
}

impl TokenBucket {
    pub(super) fn new(most: f64, now: Instant) -> Self {
        Self {
            most,
            rate: most,
            level: most,
            at: now,
            recovers_from: now,
        }
    }

    /// Takes one turn, or tells how long until there is one.
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

    /// A turn that was taken and not used.
    pub(super) fn give_back(&mut self) {
        self.level += 1.0;
    }

    /// Half of the rate from now on; it comes back from `until` on.
    pub(super) fn slow_down(&mut self, now: Instant, until: Instant) {
        self.advance(now);
        self.rate = (self.rate / 2.0).max(self.most * SLOWEST);
        self.level = 0.0;
        self.recovers_from = until;
    }

    /// The time between two turns.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    fn advance(&mut self, now: Instant) {
        // Nothing grows during a pause: what comes after it is no burst.
        let calm = now
            .saturating_duration_since(self.at.max(self.recovers_from))
            .as_secs_f64();
        self.rate = (self.rate + self.most * RECOVERY * calm).min(self.most);
        // A pace below one a second still lets one through at a time.
        self.level = (self.level + self.rate * calm).min(self.rate.max(1.0));
        self.at = now;
    }
}
