//! The client that asks the vendor: one request per call, every answer bounded in size and time.

mod request;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;

use super::call::{CallObserver, Operation, observed};
use super::health::HealthTracker;
use super::http::{self, NetworkPolicy, SetupError};
use super::limiter::Permit;
use super::response::parse_response;
use super::token::{Credential, Tokens};
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::Reply;
use provident_core::vendor::types::{ClientId, ClientRequest, Field, FieldValue, VendorClient};

pub use super::response::CreateReply;

/// A create, from its first byte to the last byte of its answer.
const CREATE_WITHIN: Duration = Duration::from_mins(1);
/// Any other call.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// Talks to one base URL with one credential.
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    tokens: Tokens,
    observer: CallObserver,
    health: Arc<HealthTracker>,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The token has characters that an HTTP header cannot carry.
    #[error("the token has characters that no HTTP header can carry")]
    Token,
    /// The HTTP client.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl Client {
    /// A client for `base_url` (without a trailing slash) that authenticates with `credential`, and reports every response
    /// to `health`.
    ///
    /// # Errors
    /// The token cannot be sent, or TLS cannot be set up.
    pub fn new(
        base_url: &str,
        credential: Credential,
        network: &NetworkPolicy,
        observer: CallObserver,
        health: Arc<HealthTracker>,
    ) -> Result<Self, ClientError> {
        let http = http::client(network)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        let token_url = token_url(&base_url);
        let tokens = Tokens::new(
            http.clone(),
            token_url,
            credential,
            observer.clone(),
            Arc::clone(&health),
        );
        Ok(Self {
            http,
            base_url,
            tokens: tokens.ok_or(ClientError::Token)?,
            observer,
            health,
        })
    }

    /// Where a client gets its tokens.
    #[must_use]
    pub fn token_url(&self) -> String {
        token_url(&self.base_url)
    }

    /// Obtains a token unless one is cached, so that a create does not have to wait for it.
    ///
    /// # Errors
    /// No token could be obtained.
    pub async fn authorize(&self) -> Result<(), CallError> {
        self.tokens.get().await?;
        Ok(())
    }

    /// Whether a call could be sent now, without a request for a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.tokens.cached().is_some()
    }

    /// Whether a token was obtained since this was last called.
    #[must_use]
    pub fn take_token_refreshed(&self) -> bool {
        self.tokens.take_refreshed()
    }

    /// When the cached token expires, if the vendor has said so.
    #[must_use]
    pub fn token_expires(&self) -> Option<Timestamp> {
        self.tokens.expires()
    }

    /// `POST /oauth2/clients`, once. Never fails: what is known about it is in the reply.
    pub async fn create(&self, permit: Permit, request: &ClientRequest<'_>) -> CreateReply {
        let sent = self.once(&permit, Operation::Create, "", Some(request), CREATE_WITHIN);
        let reply = CreateReply::of_create(sent.await);
        self.health.create_response(&reply.reply);
        reply
    }

    /// `GET /oauth2/clients/{clientId}`.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn get(&self, permit: Permit, id: &ClientId) -> Result<VendorClient, CallError> {
        let client = self.call::<()>(&permit, Operation::Get, Method::GET, id, None);
        self.report(client.await)
    }

    /// The same for a probe, which reports what it found itself.
    pub(super) async fn probe(&self, permit: Permit, id: &ClientId) -> Result<(), CallError> {
        let client = self.call::<()>(&permit, Operation::Get, Method::GET, id, None);
        client.await.map(|_| ())
    }

    /// The same without the credential: what the API answers with 401 (API document), and nothing else does.
    pub(super) async fn probe_without_token(
        &self,
        permit: Permit,
        id: &ClientId,
    ) -> Result<(), CallError> {
        let path = format!("/{id}");
        let request = async {
            let sent = self.send::<()>(&permit, Method::GET, &path, None, CALL_WITHIN, None);
            parse_response(sent.await, id, false)
        };
        let client = observed(&self.observer, Operation::Get, request);
        client.await.map(|_| ())
    }

    /// `PUT /oauth2/clients/{clientId}` with the given fields; answers the client as it is then.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn update(
        &self,
        permit: Permit,
        id: &ClientId,
        request: &ClientRequest<'_>,
    ) -> Result<VendorClient, CallError> {
        let client = self.call(&permit, Operation::Update, Method::PUT, id, Some(request));
        self.report(client.await)
    }

    /// `PUT /oauth2/clients/{clientId}` with `isActive: false` and nothing else.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client, which may be active all the same.
    pub async fn deactivate(
        &self,
        permit: Permit,
        id: &ClientId,
    ) -> Result<VendorClient, CallError> {
        let request = ClientRequest::from_iter([(Field::IsActive, FieldValue::Flag(false))]);
        let client = self.call(
            &permit,
            Operation::Deactivate,
            Method::PUT,
            id,
            Some(&request),
        );
        self.report(client.await)
    }

    /// `POST /oauth2/clients/{clientId}/rotate-secret`, once. Never fails. Its body is not read, because its shape is not
    /// documented (API document), so the reply has no client.
    pub async fn rotate(&self, permit: Permit, id: &ClientId) -> CreateReply {
        let path = format!("/{id}/rotate-secret");
        let sent = self.once::<()>(&permit, Operation::Rotate, &path, None, CALL_WITHIN);
        let reply = CreateReply::of_rotation(sent.await);
        if !matches!(reply.reply, Reply::Answer { status, .. } if !is_suspect(status)) {
            self.health.request_probe();
        }
        reply
    }
}

// Statuses that may be the connection's problem as well as one client's.
const fn is_suspect(status: u16) -> bool {
    matches!(status, 401 | 403 | 500..=599)
}

fn token_url(base_url: &str) -> String {
    format!("{base_url}/oauth2/token")
}
