//! What the vendor says of its limit: `Retry-After`, and the `RateLimit` fields of the IETF draft in their three forms.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;

/// What is left of the vendor's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::vendor) struct Quota {
    /// Requests that it still accepts.
    pub(super) remaining: u64,
    /// Until it accepts more.
    pub(super) reset: Duration,
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110 §10.2.3); `None` for anything else.
#[must_use]
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Some(Duration::try_from(now.duration_until(date)).unwrap_or(Duration::ZERO))
}

/// Reads `RateLimit-Remaining` and `RateLimit-Reset` (drafts up to 06), `RateLimit: limit=…, remaining=…, reset=…` (07)
/// or `RateLimit: "policy";r=…;t=…` (08 and on; of several policies the one with the least left).
pub(in crate::vendor) fn quota(headers: &HeaderMap) -> Option<Quota> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let quota = |remaining: &str, reset: &str| {
        Some(Quota {
            remaining: remaining.trim().parse().ok()?,
            reset: Duration::from_secs(reset.trim().parse().ok()?),
        })
    };
    if let (Some(remaining), Some(reset)) = (text("ratelimit-remaining"), text("ratelimit-reset")) {
        return quota(remaining, reset);
    }
    let field = text("ratelimit")?;
    let value = |text: &str, separator: char, key: &str| {
        text.split(separator).find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            (name == key).then(|| value.to_owned())
        })
    };
    if let (Some(remaining), Some(reset)) =
        (value(field, ',', "remaining"), value(field, ',', "reset"))
    {
        return quota(&remaining, &reset);
    }
    field
        .split(',')
        .filter_map(|policy| quota(&value(policy, ';', "r")?, &value(policy, ';', "t")?))
        .min_by_key(|quota| quota.remaining)
}
