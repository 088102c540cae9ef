//! Repairs of Secrets, counted per object, so that two writers do not fight over one for ever.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// After this many repairs of one Secret within [`WITHIN`], the operator pauses until the first of them is older.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_mins(1);

/// When each object's Secret was repaired lately, by uid.
#[derive(Default)]
pub struct Repairs(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Repairs {
    /// Notes that an object's Secret was repaired.
    pub fn note(&self, uid: &str) {
        self.note_at(uid, Instant::now());
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// Whether it was repaired so often that another writer must be overwriting it.
    pub fn are_too_many(&self, uid: &str) -> bool {
        self.are_too_many_at(uid, Instant::now())
    }

    fn note_at(&self, uid: &str, now: Instant) {
        let mut repairs = self.0.lock();
        repairs.retain(|_, times| times.back().is_some_and(|last| lately(*last, now)));
        let times = repairs.entry(uid.to_owned()).or_default();
        times.push_back(now);
        if times.len() > MOST {
            times.pop_front();
        }
    }

    fn are_too_many_at(&self, uid: &str, now: Instant) -> bool {
        let repairs = self.0.lock();
        repairs.get(uid).is_some_and(|times| {
            times.len() == MOST && times.front().is_some_and(|first| lately(*first, now))
        })
    }
}

fn lately(time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) < WITHIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_repairs_within_a_minute_are_too_many_until_the_first_is_a_minute_old() {
        let (repairs, start) = (Repairs::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in [0, 20, 40] {
            assert!(!repairs.are_too_many_at("u", at(second)));
            repairs.note_at("u", at(second));
        }
        assert!(repairs.are_too_many_at("u", at(41)));
        assert!(!repairs.are_too_many_at("other", at(41)));
        assert!(repairs.are_too_many_at("u", at(59)));
        assert!(!repairs.are_too_many_at("u", at(60)));
        // Slower than that it may go on.
        repairs.note_at("u", at(61));
        assert!(!repairs.are_too_many_at("u", at(80)));
        // What is long past is not kept.
        repairs.note_at("other", at(200));
        assert_eq!(repairs.0.lock().len(), 1);
    }
}
