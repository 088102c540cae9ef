//! Why a call to the vendor gave no client. A create has its own, finer question: see [`super::outcome`].

use std::time::Duration;

/// A call that failed. What it shows of the vendor's answer is the status and a plain code, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// 401: the connection's credential.
    #[error("the vendor refused the connection's token (401)")]
    Unauthorized,
    /// 403.
    #[error("the vendor does not let the connection's token do this (403)")]
    Forbidden,
    /// 404.
    #[error("the vendor knows no client of this clientId (404)")]
    NotFound,
    /// 429, with the time the vendor asks to wait.
    #[error("the vendor limits the rate of requests (429)")]
    Throttled(Option<Duration>),
    /// 400, 409, 413 or 422: the same request will be refused again.
    #[error("the vendor rejected the request ({status}{})", code.as_ref().map(|c| format!(", {c}")).unwrap_or_default())]
    Rejected {
        /// HTTP status.
        status: u16,
        /// The vendor's own code, if it has a plain form.
        code: Option<String>,
    },
    /// Any other status.
    #[error("the vendor answered {0}")]
    Status(u16),
    /// No answer.
    #[error("the vendor was not reached: {0}")]
    Unreachable(&'static str),
    /// A 2xx that is not the client that was asked for.
    #[error("the vendor's answer was not understood: {0}")]
    NotUnderstood(&'static str),
}

impl CallError {
    /// Whether the vendor is away, as opposed to having said something.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Status(500..=599))
    }
}
