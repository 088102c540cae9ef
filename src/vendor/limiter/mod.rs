//! The vendor's patience: a rate and a bound on what is in flight, shared by all clients of one connection, and given out
//! in turns between their namespaces.
//!
//! Nobody waits for long: a caller that finds too many of its own namespace before it is sent away at once, with the time
//! at which its turn may come, so that five thousand clients of one namespace do not hold the workers that another
//! namespace's one client needs.

mod fair_queue;
mod token_bucket;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use self::fair_queue::FairQueue;
use self::token_bucket::TokenBucket;

/// Requests in flight per connection.
const IN_FLIGHT: usize = 32;
/// How long a caller is kept waiting for its turn; beyond it is sent away to come back.
const PATIENCE: Duration = Duration::from_secs(2);
/// Waits asked for by `Retry-After` beyond this are cut, so that one absurd answer does not stop a connection for good.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The wait after a 429 without a readable `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// Shared by all calls over one connection; clones are one.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    per_second: NonZeroU32,
    state: Mutex<State>,
}

struct State {
    pace: TokenBucket,
    turns: FairQueue<Permit>,
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

/// There is no turn now; come back after this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

impl Limiter {
    /// Lets `per_second` requests a second through, with bursts of that size.
    #[must_use]
    pub fn new(per_second: NonZeroU32) -> Self {
        let now = Instant::now();
        let state = State {
            pace: TokenBucket::new(f64::from(per_second.get()), now),
            turns: FairQueue::default(),
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

    /// Waits for a turn of `namespace`, for two seconds at most.
    ///
    /// # Errors
    /// [`RetryAfter`] when the turn is further away, or the vendor asked for a pause.
    pub async fn permit(&self, namespace: &str) -> Result<Permit, RetryAfter> {
        let deadline = Instant::now() + PATIENCE;
        let (sender, mut turn) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if let Some(wait) = state.sent_away(namespace) {
                return Err(RetryAfter(wait));
            }
            state.turns.wait(namespace, sender);
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
            RetryAfter(state.turns.come_back(namespace, from, interval))
        })
    }

    /// When a caller of this namespace should come back, if it would be sent away now. For those that can do nothing
    /// without a turn: they need not begin.
    #[must_use]
    pub fn crowded(&self, namespace: &str) -> Option<Duration> {
        self.0.lock().sent_away(namespace)
    }

    /// Takes the vendor's wish for a pause, and goes on more slowly after it; for all clients of the connection.
    #[allow(clippy::must_use_candidate, reason = "most callers need no answer")]
    pub fn back_off(&self, retry_after: Option<Duration>) -> Duration {
        let pause = retry_after.unwrap_or(DEFAULT_PAUSE).min(LONGEST_PAUSE);
        let now = Instant::now();
        let mut state = self.0.lock();
        // What was in flight together is refused together: one pressure, not thirty.
        if state.not_before <= now {
            state.pace.slow_down(now, now + pause);
        }
        state.not_before = state.not_before.max(now + pause);
        pause
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Gives out what there is. Answers when there will be more, if that is a matter of time alone.
    fn give_turns(self: &Arc<Self>) -> Option<Instant> {
        let now = Instant::now();
        let mut unwanted = Vec::new();
        let next = {
            let mut state = self.lock();
            loop {
                if !state.turns.anybody_waits() || state.in_flight >= IN_FLIGHT {
                    break None;
                }
                if state.not_before > now {
                    break Some(state.not_before);
                }
                if let Err(wait) = state.pace.take(now) {
                    break Some(now + wait);
                }
                state.in_flight += 1;
                let permit = Permit {
                    of: Arc::clone(self),
                    since: now,
                };
                if let Some(permit) = state.turns.give(permit) {
                    state.pace.give_back();
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
    fn sent_away(&mut self, namespace: &str) -> Option<Duration> {
        let paused = self.not_before > Instant::now();
        if !paused && self.turns.has_room(namespace) {
            return None;
        }
        let interval = self.interval();
        Some(self.turns.come_back(namespace, self.not_before, interval))
    }

    // The time between two turns as it is now: of the rate, or of the bound on what is in flight.
    fn interval(&self) -> Duration {
        let slots = u32::try_from(IN_FLIGHT).unwrap_or(1);
        self.pace.interval().max(self.held / slots)
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
mod tests;
