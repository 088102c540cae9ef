//! Finds the rate that the vendor allows, by what it rejects.
//!
//! Responses are judged in intervals. Where more than a few of an interval are rejected, the rate falls to what was
//! accepted in it, which is the vendor's limit however it is counted; where none are, the rate grows, slowly at first and
//! then faster. A vendor that rejects some requests at random rejects the same share at any rate. When cuts in a row have
//! not lowered the share, that share counts as the vendor's normal behaviour, and the rate returns to where it was; a lower
//! rate is tried for an interval now and then, to see whether that is still so.

use std::time::Duration;

use tokio::time::Instant;

/// An interval has this many responses, and lasts at least this long.
const RESPONSES: u32 = 40;
const AT_LEAST: Duration = Duration::from_secs(2);
/// It is not longer than this, if there are so many responses in it.
const LONGEST: Duration = Duration::from_secs(4);
const FEWEST: u32 = 4;
/// The share of rejections that is tolerated.
const TOLERATED: f64 = 0.03;
/// After a cut, this part of what was accepted.
const BELOW_LIMIT: f64 = 0.97;
/// After a wait that the vendor asked for, this part of what was accepted.
const ABOVE_LIMIT: f64 = 1.5;
/// The growth after the first interval without rejections, how it grows with each further one, and its bound.
const GROWTH: f64 = 0.02;
const FASTER: f64 = 1.5;
const MOST_GROWTH: f64 = 0.25;
/// Every so many intervals a lower rate is tried where rejections count as random: this part of the rate.
const TRIAL_EVERY: u32 = 12;
const TRIAL: f64 = 0.7;
/// The lowest rate is this part of the highest.
const LOWEST: f64 = 1.0 / 64.0;
/// A share of rejections beyond this is never taken for the vendor's normal behaviour.
const MOST_AT_RANDOM: f64 = 0.25;
/// So many rejections in a row, and the vendor accepts nothing. At random one in ten thousand runs is so long.
const CLOSED: u32 = 5;

/// The rate in force, and the evidence for it.
pub(super) struct RateControl {
    most: f64,
    rate: f64,
    /// The vendor has a limit below the highest rate.
    limited: bool,
    /// The part by which the rate grows next.
    growth: f64,
    /// The share that the vendor rejects at any rate.
    random_share: f64,
    /// The first of several cuts in a row: the share that was rejected, and the rate before.
    first_cut: Option<(f64, f64)>,
    /// Intervals since the last trial of a lower rate, and the rate before the one under way.
    intervals: u32,
    trial: Option<f64>,
    began: Instant,
    responses: u32,
    rejected: u32,
    /// The last pause, or the start; and what was accepted since.
    first: Instant,
    paused: Option<Instant>,
    accepted: u32,
    /// The last responses, the newest in the lowest bit; set: rejected.
    recent: u32,
}

impl RateControl {
    pub(super) fn new(most: f64, now: Instant) -> Self {
        Self {
            most,
            rate: most,
            limited: false,
            growth: GROWTH,
            random_share: 0.0,
            first_cut: None,
            intervals: 0,
            trial: None,
            began: now,
            responses: 0,
            rejected: 0,
            first: now,
            paused: None,
            accepted: 0,
            recent: 0,
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// The most requests at once: a second's worth until the vendor has a limit, and little beyond it, since nothing is
    /// known about the bursts that it allows.
    pub(super) fn burst(&self) -> f64 {
        if self.limited {
            self.rate / 10.0
        } else {
            self.rate
        }
    }

    /// Whether the last responses were all rejected: the vendor accepts nothing now, so all callers must pause, not just
    /// those that were rejected. It stays so after a pause until a request is accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.recent.trailing_ones() >= CLOSED
    }

    /// Takes in a response to a request that was sent at `sent`.
    pub(super) fn response(&mut self, sent: Instant, now: Instant, rejected: bool) {
        // What was sent before the last change says nothing about the rate since.
        if sent < self.began {
            return;
        }
        self.recent = (self.recent << 1) | u32::from(rejected);
        self.responses += 1;
        self.rejected += u32::from(rejected);
        self.accepted += u32::from(!rejected);
        let passed = now.duration_since(self.began);
        let whole = passed >= LONGEST || (self.responses >= RESPONSES && passed >= AT_LEAST);
        if whole && self.responses >= FEWEST {
            let accepted = f64::from(self.responses - self.rejected) / passed.as_secs_f64();
            self.judge(self.share(), accepted);
            self.begin(now);
        }
    }

    /// Whether the vendor rejects a share of the requests at any rate.
    pub(super) fn rejects_at_random(&self) -> bool {
        self.random_share > 0.0
    }

    /// All callers wait until `until`, as the vendor asks. What it accepted since the last time is about its limit; about,
    /// since it may reject at random.
    pub(super) fn wait(&mut self, now: Instant, until: Instant) {
        if self.accepted > 0 {
            let most = (ABOVE_LIMIT * self.accepted_rate(now, until)).max(self.most * LOWEST);
            self.rate = self.rate.min(most);
            self.growth = GROWTH;
            self.limited = true;
        }
        self.paused = Some(now);
        self.accepted = 0;
        self.began += until.duration_since(now);
    }

    // What was accepted from one pause to the next.
    fn accepted_rate(&self, now: Instant, until: Instant) -> f64 {
        let (since, after) = match self.paused {
            Some(at) => (at, now),
            None => (self.first, until),
        };
        let passed = after.duration_since(since).as_secs_f64().max(0.05);
        f64::from(self.accepted) / passed
    }

    /// All callers pause until `until`, since the vendor accepts nothing: what the vendor accepts from one pause to the next is its limit.
    pub(super) fn pause(&mut self, now: Instant, until: Instant) {
        if self.accepted > 0 {
            self.growth = GROWTH;
            self.lower(self.accepted_rate(now, until));
        }
        self.paused = Some(now);
        self.accepted = 0;
        self.begin(until);
    }

    fn share(&self) -> f64 {
        f64::from(self.rejected) / f64::from(self.responses.max(1))
    }

    fn begin(&mut self, at: Instant) {
        self.began = at;
        self.responses = 0;
        self.rejected = 0;
    }

    fn judge(&mut self, share: f64, accepted: f64) {
        if let Some(before) = self.trial.take() {
            if share < self.random_share / 2.0 {
                self.random_share = 0.0;
                self.limited = true;
            } else {
                self.rate = before;
            }
            return;
        }
        if self.rejected > 1 && share > self.tolerated() {
            self.cut(share, accepted);
        } else if self.random_share > 0.0 {
            self.intervals += 1;
            if self.intervals.is_multiple_of(TRIAL_EVERY) {
                self.trial = Some(self.rate);
                self.rate *= TRIAL;
            } else {
                self.grow();
            }
        } else if self.rejected == 0 {
            self.first_cut = None;
            self.grow();
        } else {
            self.growth = GROWTH;
        }
    }

    // What is rejected at random varies by chance: twice its standard deviation is no evidence of a limit.
    fn tolerated(&self) -> f64 {
        let random = self.random_share;
        let variance = random * (1.0 - random) / f64::from(self.responses.max(1));
        random + TOLERATED + 2.0 * variance.sqrt()
    }

    fn cut(&mut self, share: f64, accepted: f64) {
        self.growth = GROWTH;
        if let Some((first, before)) = self.first_cut
            && self.rate < 0.85 * before
            && share > 0.6 * first
            && share < MOST_AT_RANDOM
        {
            self.random_share = f64::midpoint(share, first);
            self.rate = before;
            self.first_cut = None;
            self.limited = false;
            self.intervals = 0;
            return;
        }
        if share < MOST_AT_RANDOM {
            self.first_cut = self.first_cut.or(Some((share, self.rate)));
        }
        self.lower(accepted / (1.0 - self.random_share));
    }

    fn lower(&mut self, limit: f64) {
        self.rate = (BELOW_LIMIT * limit)
            .min(BELOW_LIMIT * self.rate)
            .max(self.most * LOWEST);
        self.limited = true;
    }

    fn grow(&mut self) {
        self.rate = (self.rate * (1.0 + self.growth)).min(self.most);
        self.growth = (self.growth * FASTER).min(MOST_GROWTH);
        self.limited &= self.rate < self.most;
    }
}
