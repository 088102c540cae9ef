//! One request to the vendor, as it is timed, counted and traced.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument, debug_span, field};

use provident_core::vendor::error::{CallError, TokenError};

/// What is asked of the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /oauth2/clients`
    Create,
    /// `GET /oauth2/clients/{clientId}`, probes of a connection too.
    Get,
    /// `PUT /oauth2/clients/{clientId}`
    Update,
    /// The `PUT` that only says `isActive: false`.
    Deactivate,
    /// `POST /oauth2/clients/{clientId}/rotate-secret`
    Rotate,
    /// `POST /oauth2/token`
    Token,
}

impl Operation {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Rotate => "rotate",
            Self::Token => "token",
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// With this HTTP status.
    Status(u16),
    /// With a 2xx that is not what was asked for.
    MalformedResponse,
    /// Not at all: no connection was made, so nothing was sent.
    NoConnection,
    /// Not at all, or not in time.
    NoAnswer,
}

impl Code {
    /// Whether the request came to nothing. A 404 is an answer.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Status(200..=299 | 404))
    }

    /// Of an API response with this status, by what was read from it.
    pub(super) fn of_call<T>(status: u16, read: &Result<T, CallError>) -> Self {
        match read {
            Err(CallError::MalformedResponse(_)) => Self::MalformedResponse,
            _ => Self::Status(status),
        }
    }

    /// The same of a token response.
    pub(super) fn of_token<T>(status: u16, read: &Result<T, TokenError>) -> Self {
        match read {
            Err(TokenError::MalformedResponse(_)) => Self::MalformedResponse,
            _ => Self::Status(status),
        }
    }

    pub(super) fn without_answer(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            Self::NoConnection
        } else {
            Self::NoAnswer
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::MalformedResponse => f.write_str("malformed_response"),
            Self::NoConnection => f.write_str("no_connection"),
            Self::NoAnswer => f.write_str("no_answer"),
        }
    }
}

/// Called when a request has ended, with the time it took.
pub type CallObserver = Arc<dyn Fn(Operation, Code, Duration) + Send + Sync>;

/// Carries out one request, in a span of its own.
pub(super) async fn observed<T>(
    observer: &CallObserver,
    operation: Operation,
    request: impl Future<Output = (Code, T)>,
) -> T {
    let span = debug_span!(
        "vendor",
        otel.kind = "client",
        otel.status_code = field::Empty,
        operation = operation.as_str(),
        code = field::Empty
    );
    let began = Instant::now();
    let (code, answer) = request.instrument(span.clone()).await;
    span.record("code", field::display(code));
    if code.is_failure() {
        span.record("otel.status_code", "ERROR");
    }
    observer(operation, code, began.elapsed());
    answer
}
