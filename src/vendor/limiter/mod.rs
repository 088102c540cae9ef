//! Per-connection rate and concurrency limit, shared fairly between the namespaces of its clients.
//!
//! Callers do not wait for long: one that finds too many of its own namespace before it fails fast with a retry delay, so
//! that five thousand clients of one namespace do not hold the workers that another namespace's one client needs.
//!
//! The rate follows what the vendor accepts; see [`rate_control`].

mod fair_queue;
mod headers;
mod rate_control;
mod token_bucket;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use self::fair_queue::FairQueue;
use self::headers::Quota;
pub use self::headers::parse_retry_after;
pub(super) use self::headers::quota;
use self::rate_control::RateControl;
use self::token_bucket::TokenBucket;

/// Requests in flight per connection.
const IN_FLIGHT: usize = 32;
/// How long a caller waits for a permit before it gets a retry delay.
const PATIENCE: Duration = Duration::from_secs(2);
/// Waits asked for by `Retry-After` beyond this are cut, so that one absurd answer does not stop a connection for good.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The wait of a caller that was rejected without a readable `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
/// The first pause of all callers after rejections without a readable `Retry-After`; doubled while nothing is accepted.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A longer `Retry-After` holds all callers back at its first appearance, a shorter one only the caller that got it: at a
/// vendor that rejects now and then, a second for everybody each time would be most of the time.
const SHORT: Duration = Duration::from_secs(2);
/// Quotas that come back within this are not waited for.
const COARSE: Duration = Duration::from_secs(1);
/// The longest such pause, and the longest for a quota that is used up: the vendor has not rejected anything then.
const LONGEST_UNASKED: Duration = Duration::from_mins(1);

/// Shared by all calls over one connection; clones are one.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    per_second: NonZeroU32,
    state: Mutex<State>,
}

struct State {
    bucket: TokenBucket,
    rate: RateControl,
    queue: FairQueue<Permit>,
    /// Pauses since the last request that was accepted.
    pauses: u32,
    in_flight: usize,
    /// How long a permit is held, on average.
    held: Duration,
    not_before: Instant,
}

/// The right to send one request, given back when dropped.
pub struct Permit {
    of: Arc<Shared>,
    since: Instant,
}

impl Permit {
    /// Takes in the response to the request: whether the vendor rejected it with 429, the wait it asks for, and what it says
    /// is left of its limit.
    pub(super) fn response(
        &self,
        rejected: bool,
        retry_after: Option<Duration>,
        quota: Option<Quota>,
    ) {
        let now = Instant::now();
        self.of
            .lock()
            .response(self.since, now, rejected, retry_after, quota);
    }
}

/// There is no permit now; come back after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl Limiter {
    /// Lets `per_second` requests a second through, with bursts of that size.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        let now = Instant::now();
        let state = State {
            bucket: TokenBucket::new(f64::from(per_second.get()), now),
            rate: RateControl::new(f64::from(per_second.get()), now),
            queue: FairQueue::default(),
            pauses: 0,
            in_flight: 0,
            held: Duration::ZERO,
            not_before: now,
        };
        Self(Arc::new(Shared {
            per_second,
            state: Mutex::new(state),
        }))
    }

    /// The most requests that are let through in a second.
    #[must_use]
    pub fn per_second(&self) -> NonZeroU32 {
        self.0.per_second
    }

    /// Waits for a permit for `namespace`, for two seconds at most.
    ///
    /// # Errors
    /// [`RetryAfter`] when it takes longer, or the vendor asked for a pause.
    pub async fn permit(&self, namespace: &str) -> Result<Permit, RetryAfter> {
        let deadline = Instant::now() + PATIENCE;
        let (sender, mut turn) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if let Some(wait) = state.refused(namespace) {
                return Err(RetryAfter(wait));
            }
            state.queue.wait(namespace, sender);
        }
        loop {
            let next = self.0.give_turns();
            tokio::select! {
                biased;
                permit = &mut turn => return permit.map_err(|_| RetryAfter(PATIENCE)),
                () = sleep_until(deadline) => break,
                () = sleep_until(next.unwrap_or(deadline)) => {}
            }
        }
        turn.close();
        turn.try_recv().map_err(|_| {
            let mut state = self.0.lock();
            let interval = state.interval();
            let from = state.not_before;
            RetryAfter(state.queue.retry_delay(namespace, from, interval))
        })
    }

    /// The retry delay of a caller of this namespace, if it would get no permit now, and its place in the order of retries.
    /// For callers that can do nothing without a permit: they need not begin.
    #[must_use]
    pub fn reserve_retry_slot(&self, namespace: &str) -> Option<Duration> {
        self.0.lock().refused(namespace)
    }

    /// How long an object waits whose request was rejected.
    #[must_use]
    pub fn retry_delay(&self, retry_after: Option<Duration>) -> Duration {
        let asked = retry_after.unwrap_or(DEFAULT_PAUSE).min(LONGEST_PAUSE);
        let now = Instant::now();
        asked.max(self.0.lock().not_before.saturating_duration_since(now))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    // Gives out what there is. Answers when there will be more, if that is a matter of time alone.
    fn give_turns(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut unwanted = Vec::new();
        let next = {
            let mut state = self.lock();
            loop {
                if !state.queue.is_waiting() || state.in_flight >= IN_FLIGHT {
                    break None;
                }
                if state.not_before > now {
                    break Some(state.not_before);
                }
                if let Err(wait) = state.bucket.take(now) {
                    break Some(now + wait);
                }
                state.in_flight += 1;
                let permit = Permit {
                    of: Arc::clone(self),
                    since: now,
                };
                if let Some(permit) = state.queue.give(permit) {
                    state.bucket.give_back();
                    unwanted.push(permit);
                }
            }
        };
        // Outside the lock, which a permit takes when it is dropped.
        drop(unwanted);
        next
    }
}

impl State {
    fn response(
        &mut self,
        sent: Instant,
        now: Instant,
        rejected: bool,
        retry_after: Option<Duration>,
        quota: Option<Quota>,
    ) {
        self.rate.response(sent, now, rejected);
        if !rejected {
            self.pauses = 0;
            // A short wait, given in whole seconds, is too coarse: the rate finds that limit.
            let used_up = quota.filter(|quota| quota.remaining == 0 && quota.reset > COARSE);
            if let Some(quota) = used_up {
                self.pause(now, quota.reset.min(LONGEST_UNASKED));
            }
        } else if self.rate.is_closed() {
            let unasked = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(6));
            let pause = retry_after.map_or(unasked.min(LONGEST_UNASKED), |asked| {
                asked.min(LONGEST_PAUSE)
            });
            if self.not_before <= now {
                self.pauses += 1;
                self.pause(now, pause);
            }
        } else if let Some(asked) = retry_after.filter(|asked| *asked > SHORT)
            && !self.rate.rejects_at_random()
        {
            let until = now + asked.min(LONGEST_PAUSE);
            if self.not_before <= now {
                self.rate.wait(now, until);
            }
            if until > self.not_before {
                self.not_before = until;
                self.bucket.empty_until(until);
            }
        }
        let (rate, burst) = (self.rate.rate(), self.rate.burst());
        self.bucket.set(now, rate, burst);
    }

    fn pause(&mut self, now: Instant, pause: Duration) {
        let until = now + pause;
        // What was in flight together ends together: one pause, not thirty.
        if self.not_before <= now && until > now {
            self.rate.pause(now, until);
            self.not_before = until;
            self.bucket.empty_until(until);
        }
    }

    fn refused(&mut self, namespace: &str) -> Option<Duration> {
        let paused = self.not_before > Instant::now();
        if !paused && self.queue.has_room(namespace) {
            return None;
        }
        let interval = self.interval();
        Some(self.queue.retry_delay(namespace, self.not_before, interval))
    }

    // The time between two turns as it is now: of the rate, or of the bound on what is in flight.
    fn interval(&self) -> Duration {
        let slots = u32::try_from(IN_FLIGHT).unwrap_or(1);
        self.bucket.interval().max(self.held / slots)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.of.lock();
            state.in_flight -= 1;
            state.held = (state.held * 7 + self.since.elapsed()) / 8;
        }
        self.of.give_turns();
    }
}

#[cfg(test)]
mod tests;
