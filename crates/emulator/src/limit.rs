//! Vendors that limit the rate of requests, each in its own way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::random;

/// How requests are limited.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LimitKind {
    /// A bucket that fills with `per_second` tokens a second up to `burst`; a request takes one.
    TokenBucket {
        /// Tokens a second.
        per_second: f64,
        /// The most tokens.
        burst: f64,
    },
    /// So many requests in each window, the windows one after the other.
    FixedWindow {
        /// Requests in a window.
        requests: u32,
        /// Its length.
        milliseconds: u64,
    },
    /// One in so many requests is rejected at random, whatever the rate.
    RandomRejection {
        /// 10: a tenth.
        one_in: u32,
    },
}

/// How the vendor speaks of its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitHeaders {
    /// Not at all: a bare 429.
    #[default]
    None,
    /// `Retry-After` on a 429, in whole seconds.
    RetryAfter,
    /// `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` on every response, as in the earlier drafts of the
    /// IETF (draft-ietf-httpapi-ratelimit-headers-06).
    Fields,
    /// `RateLimit-Policy` and `RateLimit` on every response, as in the later ones (draft 08 and on).
    Structured,
}

/// A limit of the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// What is limited.
    pub kind: LimitKind,
    /// What is said of it.
    #[serde(default)]
    pub headers: LimitHeaders,
}

/// A limit in force. It knows no clock, so a test may run it in time of its own.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    limit: RateLimit,
    /// Tokens in the bucket, or requests left in the window.
    left: f64,
    /// Since when; the start of the window.
    at: Instant,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitVerdict {
    /// It is answered 429.
    pub rejected: bool,
    /// The header fields of the response.
    pub headers: Vec<(&'static str, String)>,
}

impl RateLimiter {
    /// Begins with a full bucket, or a new window.
    #[must_use]
    pub fn new(limit: RateLimit, now: Instant) -> Self {
        let left = match limit.kind {
            LimitKind::TokenBucket { burst, .. } => burst,
            LimitKind::FixedWindow { requests, .. } => f64::from(requests),
            LimitKind::RandomRejection { .. } => 0.0,
        };
        Self {
            limit,
            left,
            at: now,
        }
    }

    /// Takes in a request.
    pub fn request(&mut self, now: Instant) -> LimitVerdict {
        // The limit, the window, and the time until there is a token again.
        let (most, window, reset) = match self.limit.kind {
            LimitKind::TokenBucket { per_second, burst } => {
                let grown = now.duration_since(self.at).as_secs_f64() * per_second;
                self.left = (self.left + grown).min(burst);
                self.at = now;
                let missing = (1.0 - self.left).max(0.0);
                let reset = Duration::from_secs_f64(missing / per_second);
                (burst, Duration::from_secs_f64(burst / per_second), reset)
            }
            LimitKind::FixedWindow {
                requests,
                milliseconds,
            } => {
                let length = Duration::from_millis(milliseconds.max(1));
                while now.duration_since(self.at) >= length {
                    self.at += length;
                    self.left = f64::from(requests);
                }
                let reset = (self.at + length).duration_since(now);
                (f64::from(requests), length, reset)
            }
            LimitKind::RandomRejection { one_in } => {
                let rejected = random::below(one_in) == 0;
                self.left = if rejected { 0.0 } else { 1.0 };
                (1.0, Duration::from_secs(1), Duration::from_secs(1))
            }
        };
        let rejected = self.left < 1.0;
        if !rejected {
            self.left -= 1.0;
        }
        LimitVerdict {
            rejected,
            headers: self.headers(rejected, most, window, reset),
        }
    }

    fn headers(
        &self,
        rejected: bool,
        most: f64,
        window: Duration,
        reset: Duration,
    ) -> Vec<(&'static str, String)> {
        let whole = |time: Duration| time.as_secs_f64().ceil().max(1.0).to_string();
        let left = self.left.floor().max(0.0);
        match self.limit.headers {
            LimitHeaders::RetryAfter if rejected => vec![("retry-after", whole(reset))],
            LimitHeaders::None | LimitHeaders::RetryAfter => Vec::new(),
            LimitHeaders::Fields => vec![
                ("ratelimit-limit", most.to_string()),
                ("ratelimit-remaining", left.to_string()),
                ("ratelimit-reset", whole(reset)),
            ],
            LimitHeaders::Structured => vec![
                (
                    "ratelimit-policy",
                    format!("\"default\";q={most};w={}", whole(window)),
                ),
                (
                    "ratelimit",
                    format!("\"default\";r={left};t={}", whole(reset)),
                ),
            ],
        }
    }
}
