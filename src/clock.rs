//! The wall clock, in the forms in which Kubernetes writes times.

use jiff::Timestamp;
use provident_core::api::stored_time;

/// Now, in whole seconds, as Kubernetes writes times.
pub(crate) fn now() -> Timestamp {
    stored_time(Timestamp::now()).0
}

/// Seconds since the epoch.
pub(crate) fn seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}
