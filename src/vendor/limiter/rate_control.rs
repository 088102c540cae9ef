//! Finds the rate that the vendor allows, by what it rejects.
//!
//! Responses are judged in intervals. Where more than a few of an interval are rejected, the rate falls to what was
//! accepted in it, which is the vendor's limit however it is counted; where none are, the rate grows slowly. A vendor that
//! rejects some requests at random accepts the same share at any rate. When two cuts in a row have not lowered the share,
//! that share counts as the vendor's normal behaviour, and the rate returns to where it was.

use std::time::Duration;

use tokio::time::Instant;

/// An interval has this many responses, and lasts at least this long.
const RESPONSES: u32 = 40;
const AT_LEAST: Duration = Duration::from_secs(2);
/// It ends early when this share is rejected.
const MANY: f64 = 0.3;
/// The share of rejections that is tolerated.
const TOLERATED: f64 = 0.03;
/// After a cut, this part of what was accepted.
const BELOW_LIMIT: f64 = 0.97;
/// The growth after an interval without rejections: near the last limit, and away from it.
const NEAR: f64 = 1.02;
const FAR: f64 = 1.25;
/// The lowest rate is this part of the highest.
const LOWEST: f64 = 1.0 / 64.0;
/// A share of rejections beyond this is never taken for the vendor's normal behaviour.
const MOST_AT_RANDOM: f64 = 0.35;
/// The recent responses by which it is decided whether all callers pause.
const RECENT: u32 = 20;

/// The rate in force, and the evidence for it.
pub(super) struct RateControl {
    most: f64,
    rate: f64,
    /// The rate that was last found to be the limit.
    limit: Option<f64>,
    /// The share that the vendor rejects at any rate.
    random_share: f64,
    /// The first of several cuts in a row: the share that was rejected, and the rate before.
    first_cut: Option<(f64, f64)>,
    began: Instant,
    responses: u32,
    rejected: u32,
    /// The last responses, the newest in the lowest bit; set: rejected.
    recent: u32,
}

impl RateControl {
    pub(super) fn new(most: f64, now: Instant) -> Self {
        Self {
            most,
            rate: most,
            limit: None,
            random_share: 0.0,
            first_cut: None,
            began: now,
            responses: 0,
            rejected: 0,
            recent: 0,
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// The most requests at once: a second's worth until the vendor has a limit, and little beyond it, since nothing is
    /// known about the bursts that it allows.
    pub(super) fn burst(&self) -> f64 {
        match self.limit {
            Some(_) => self.rate / 10.0,
            None => self.rate,
        }
    }

    /// Whether the last responses were rejected so often that all callers must pause, not just those that were rejected.
    pub(super) fn must_pause(&self) -> bool {
        let recent = self.recent & ((1 << RECENT) - 1);
        let tolerated = if self.random_share > 0.0 { 8 } else { 2 };
        recent.count_ones() > tolerated
    }

    /// Takes in a response to a request that was sent at `sent`. `pause`: for so long nothing will be sent.
    pub(super) fn response(
        &mut self,
        sent: Instant,
        now: Instant,
        rejected: bool,
        pause: Duration,
    ) {
        // What was sent before the last change says nothing about the rate since.
        if sent < self.began {
            return;
        }
        self.recent = (self.recent << 1) | u32::from(rejected);
        self.responses += 1;
        self.rejected += u32::from(rejected);
        let share = f64::from(self.rejected) / f64::from(self.responses);
        let passed = now.duration_since(self.began);
        let whole = self.responses >= RESPONSES && passed >= AT_LEAST;
        let early = self.rejected > 3 && share > MANY.max(2.0 * self.random_share);
        if !whole && !early {
            return;
        }
        let accepted = f64::from(self.responses - self.rejected);
        let seconds = (passed + pause).as_secs_f64().max(0.05);
        if self.rejected > 1 && share - self.random_share > TOLERATED {
            self.cut(share, accepted / seconds);
        } else {
            self.grow(share);
        }
        self.began = now;
        self.responses = 0;
        self.rejected = 0;
    }

    fn cut(&mut self, share: f64, accepted: f64) {
        if let Some((first, before)) = self.first_cut
            && self.rate < 0.85 * before
            && share > 0.6 * first
            && share < MOST_AT_RANDOM
        {
            self.random_share = f64::midpoint(share, first);
            self.rate = before;
            self.first_cut = None;
            self.limit = None;
            return;
        }
        self.first_cut = self.first_cut.or(Some((share, self.rate)));
        let limit = accepted / (1.0 - self.random_share);
        self.rate = (BELOW_LIMIT * limit)
            .min(BELOW_LIMIT * self.rate)
            .max(self.most * LOWEST);
        self.limit = Some(self.rate / BELOW_LIMIT);
    }

    fn grow(&mut self, share: f64) {
        if self.rejected == 0 {
            self.first_cut = None;
        }
        if share < self.random_share / 2.0 {
            self.random_share *= 0.7;
            if self.random_share < TOLERATED {
                self.random_share = 0.0;
            }
        }
        let near = self
            .limit
            .is_some_and(|limit| (0.8..1.15).contains(&(self.rate / limit)));
        self.rate = (self.rate * if near { NEAR } else { FAR }).min(self.most);
        if self.rate >= self.most {
            self.limit = None;
        }
    }
}
