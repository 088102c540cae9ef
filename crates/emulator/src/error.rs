//! What the emulator says when it refuses.
//!
//! The vendor documents no error body. This one is the emulator's own: a code in the manner of
//! RFC 6749 section 5.2, a sentence, and the field where one is to blame.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Why the emulator could not start.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The address is taken, or not one of this machine.
    #[error(
        "the emulator cannot listen on {address}: {reason}; give another address with --listen"
    )]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
    /// The state file exists and cannot be read.
    #[error("the state file {} cannot be read: {reason}; check its owner and mode", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The state file holds something else than this version of the emulator writes.
    #[error("the state file {} is broken: {reason}; it was left as it is: repair it or move it away", path.display())]
    BrokenState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The state file cannot be written.
    #[error("the state file {} cannot be written: {reason}; check that its directory exists and is writable", path.display())]
    WriteState {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The system gave no random bytes for a token.
    #[error("the system gave no random bytes for a bearer token; give one with --token")]
    NoRandomness,
}

/// A refusal, as the caller of the API sees it.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
        }
    }

    /// 400: the request is not what the API document allows.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 400, and this field is why.
    pub(super) fn invalid_field(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field: Some(field),
            ..Self::invalid(message)
        }
    }

    /// 401: no bearer token, or not the one in force.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "a valid bearer token is required",
        )
    }

    /// 404: no client has this clientId.
    pub(super) fn no_such_client() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "no client has this clientId",
        )
    }

    /// 404 or 405: the API document has no such path, or not with this method.
    pub(super) fn undocumented(status: StatusCode) -> Self {
        Self::new(
            status,
            "undocumented",
            "the API document has no such operation",
        )
    }

    /// 422: a scope that this vendor does not have.
    pub(super) fn unknown_scope(scope: &str) -> Self {
        Self {
            field: Some("allowedScopes"),
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_scope",
                format!("unknown scope {scope:?}"),
            )
        }
    }

    /// 500: the system gave no random bytes.
    pub(super) fn no_randomness() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "the system gave no random bytes",
        )
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "error": self.code, "message": self.message });
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        body
    }
}
