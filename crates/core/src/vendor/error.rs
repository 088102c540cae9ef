//! Why a call to the vendor returned no client. A create needs a finer distinction: see [`super::outcome`].

use std::time::Duration;

/// A call that failed. Of the vendor's response it shows the status and a plain code, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// 401. Either the connection's credential is refused, or the vendor answers so for this one client.
    #[error("the vendor refused the connection's token (401)")]
    Unauthorized,
    /// 403. Either the connection's credential lacks the permission, or the vendor answers so for this one client.
    #[error("the vendor does not permit this with the connection's token (403)")]
    Forbidden,
    /// 404.
    #[error("the vendor has no client with this clientId (404)")]
    NotFound,
    /// 429, with the time that the vendor asks to wait.
    #[error("the vendor limits the rate of requests (429)")]
    Throttled(Option<Duration>),
    /// 400, 409, 413 or 422 to a request that carries fields of the spec: the same request will be refused again.
    #[error("the vendor rejected the request ({status}{})", code.as_ref().map(|c| format!(", {c}")).unwrap_or_default())]
    Rejected {
        /// HTTP status.
        status: u16,
        /// The vendor's own code, if it has a plain form.
        code: Option<String>,
    },
    /// Any other status. Also 400, 409, 413 and 422 to a request that carries nothing of the spec, such as a GET: no edit
    /// of the spec can change that response.
    #[error("the vendor answered {0}")]
    Status(u16),
    /// No response. The text is the operator's own, bounded and free of control characters.
    #[error("the vendor was not reached: {0}")]
    Unreachable(String),
    /// A 2xx whose body is not the client that was asked for.
    #[error("the vendor's response is malformed: {0}")]
    MalformedResponse(&'static str),
    /// The request was not sent, because no access token could be obtained. Always the connection's problem.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why the token endpoint (`POST /oauth2/token`) issued no access token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The endpoint refused the client credentials (RFC 6749 section 5.2).
    #[error("the token endpoint refused the client credentials ({status}{})", code.as_ref().map(|c| format!(", {c}")).unwrap_or_default())]
    Refused {
        /// HTTP status.
        status: u16,
        /// The error code of RFC 6749, if the response has one.
        code: Option<String>,
    },
    /// 429, with the time that the endpoint asks to wait.
    #[error("the token endpoint limits the rate of requests (429)")]
    Throttled(Option<Duration>),
    /// Any other status: a redirect, a 204, a 404, a 500.
    #[error("the token endpoint answered {0} instead of an access token")]
    Status(u16),
    /// No response.
    #[error("the token endpoint was not reached: {0}")]
    Unreachable(String),
    /// A 200 whose body is not an access token response (RFC 6749 section 5.1).
    #[error("the token endpoint's response is not an access token response: {0}")]
    MalformedResponse(&'static str),
}

impl CallError {
    /// Whether the vendor did not respond, or failed itself. A refusal is a response.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Status(500..=599) => true,
            Self::Token(error) => error.is_outage(),
            _ => false,
        }
    }
}

impl TokenError {
    /// Whether the endpoint did not respond, or failed itself.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Status(500..=599))
    }
}
