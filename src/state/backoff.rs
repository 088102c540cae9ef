//! Backoff per object: grows with each failure, with jitter, and is reset when something about the object changes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::jitter::jittered;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// A reconcile may end this often in a row without a result before it is slowed down.
const FREE_REQUEUES: u32 = 50;
/// A change cuts a wait short this often a minute, so that a writer in a loop does not become a loop of calls.
const RESETS_A_MINUTE: u32 = 3;

/// The waits of all objects that failed.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<String, Wait>>);

struct Wait {
    /// Reconciles in a row that ended without a result.
    requeues: u32,
    failures: u32,
    not_before: Instant,
    inputs: u64,
    resets: u32,
    resets_since: Instant,
}

impl Wait {
    fn new(inputs: u64, now: Instant) -> Self {
        Self {
            requeues: 0,
            failures: 0,
            not_before: now,
            inputs,
            resets: 0,
            resets_since: now,
        }
    }
}

impl Backoff {
    /// Time left for which the object is not reconciled, unless its `inputs` (any hash of what would change the outcome)
    /// have changed.
    pub fn left(&self, uid: &str, inputs: u64) -> Option<Duration> {
        let mut waits = self.0.lock();
        let wait = waits.get_mut(uid)?;
        let left = wait.not_before.checked_duration_since(Instant::now())?;
        if wait.inputs == inputs {
            return Some(left);
        }
        if wait.resets_since.elapsed() > Duration::from_mins(1) {
            (wait.resets, wait.resets_since) = (0, Instant::now());
        }
        if wait.resets >= RESETS_A_MINUTE {
            return Some(left);
        }
        wait.resets += 1;
        wait.failures = 0;
        None
    }

    /// Notes a failure and returns how long to wait; `at_least` when the vendor asked for a pause.
    pub fn failed(&self, uid: &str, inputs: u64, at_least: Duration) -> Duration {
        self.note(uid, inputs, |grown| grown.max(at_least))
    }

    /// The same for an object that cannot wait for longer than `at_most`.
    pub fn failed_urgently(&self, uid: &str, inputs: u64, at_most: Duration) -> Duration {
        self.note(uid, inputs, |grown| grown.min(at_most))
    }

    /// Notes a reconcile that ended without a result, because a view was stale or another reconcile had the turn. Returns how
    /// long to wait once that has happened many times in a row; `None` means as soon as the caller likes.
    pub fn requeued(&self, uid: &str, inputs: u64) -> Option<Duration> {
        let mut waits = self.0.lock();
        let wait = waits
            .entry(uid.to_owned())
            .or_insert_with(|| Wait::new(inputs, Instant::now()));
        wait.requeues += 1;
        let slowed = wait.requeues.checked_sub(FREE_REQUEUES)?;
        Some(jittered(
            FIRST.saturating_mul(1 << slowed.min(9)).min(LONGEST),
        ))
    }

    fn note(&self, uid: &str, inputs: u64, bound: impl FnOnce(Duration) -> Duration) -> Duration {
        let mut waits = self.0.lock();
        let now = Instant::now();
        let wait = waits
            .entry(uid.to_owned())
            .or_insert_with(|| Wait::new(inputs, now));
        let grown = FIRST.saturating_mul(1 << wait.failures.min(9)).min(LONGEST);
        let delay = bound(jittered(grown));
        wait.failures += 1;
        wait.requeues = 0;
        wait.inputs = inputs;
        wait.not_before = now + delay;
        delay
    }

    /// Forgets an object that went well, or is gone.
    pub fn clear(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_five_minutes_and_a_change_cuts_them_three_times_a_minute() {
        let backoff = Backoff::default();
        assert_eq!(backoff.left("u", 1), None);
        let waits: Vec<_> = (0..12)
            .map(|_| backoff.failed("u", 1, Duration::ZERO))
            .collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST * 4 / 5, "{waits:?}");
        assert!(
            waits[11] <= LONGEST && waits[11] >= LONGEST * 4 / 5,
            "{waits:?}"
        );
        assert!(backoff.left("u", 1).is_some());
        for inputs in 2..5 {
            assert_eq!(backoff.left("u", inputs), None);
            backoff.failed("u", inputs, Duration::from_mins(1));
        }
        assert!(
            backoff.left("u", 9).is_some(),
            "a fourth change within the minute waits"
        );
        backoff.clear("u");
        assert_eq!(backoff.left("u", 9), None);
    }

    #[test]
    fn what_is_urgent_is_looked_at_again_within_its_bound_however_often_it_failed() {
        let backoff = Backoff::default();
        let most = Duration::from_secs(30);
        for _ in 0..12 {
            assert!(backoff.failed_urgently("u", 1, most) <= most);
        }
        assert!(backoff.left("u", 1).is_some_and(|left| left <= most));
    }
}
