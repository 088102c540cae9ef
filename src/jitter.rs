//! Spreads what would happen at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// 80 to 100 % of it, so that what began together does not come back together.
pub(crate) fn jittered(delay: Duration) -> Duration {
    let spread = u32::try_from(RandomState::new().hash_one(0_u8) % 200).unwrap_or_default();
    delay.saturating_sub(delay / 1000 * spread)
}
