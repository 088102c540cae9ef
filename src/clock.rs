//! The wall clock, in the forms in which Kubernetes writes times.

use jiff::Timestamp;

/// Now, in whole seconds, as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Seconds since the epoch.
pub(crate) fn seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
