//! When a client is verified: phase-locked to a hash of its uid, hence spread and steady through restarts.

use std::time::Duration;

/// Number of the verification period that `now` lies in. Both are seconds since the epoch; `interval` is one second or
/// more. A client is due when its number has grown since the process began or verified it last.
#[must_use]
pub fn due_slot(uid: &str, now: u64, interval: Duration) -> u64 {
    let interval = interval.as_secs().max(1);
    (now + phase(uid, interval)) / interval
}

/// Time left until the next period begins.
#[must_use]
pub fn until_next_slot(uid: &str, now: u64, interval: Duration) -> Duration {
    let seconds = interval.as_secs().max(1);
    Duration::from_secs(seconds - (now + phase(uid, seconds)) % seconds)
}

// FNV-1a: stable across releases, which the standard library's hasher does not promise.
fn phase(uid: &str, interval: u64) -> u64 {
    uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) % interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_due_once_per_interval_at_its_own_time() {
        let hour = Duration::from_hours(1);
        for uid in ["a", "b", "2b0f3f0e-9f4c-4c11-8df1-2f6f6f0a8f11"] {
            let now = 1_800_000_000;
            let wait = until_next_slot(uid, now, hour).as_secs();
            assert!((1..=3600).contains(&wait));
            assert_eq!(
                due_slot(uid, now, hour),
                due_slot(uid, now + wait - 1, hour)
            );
            assert_eq!(
                due_slot(uid, now, hour) + 1,
                due_slot(uid, now + wait, hour)
            );
        }
        assert_ne!(until_next_slot("a", 0, hour), until_next_slot("b", 0, hour));
    }
}
