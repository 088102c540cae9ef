//! The client that asks the vendor: one request per call, every answer bounded in size and time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use tracing::debug;

use super::call::{CallObserver, Code, Operation, observed};
use super::health::HealthTracker;
use super::http::{self, NetworkPolicy, SetupError, read, request_id, retry_after};
use super::limiter::{Permit, quota};
use super::response::{Answer, NoAnswer, parse_response};
use super::token::{Credential, Tokens};
use super::transport_error::describe;
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::Reply;
use provident_core::vendor::types::{ClientId, CreateRequest, UpdateRequest, VendorClient};

pub use super::http::CONNECT_WITHIN;
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
    pub async fn create(&self, permit: Permit, request: &CreateRequest) -> CreateReply {
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
        request: &UpdateRequest,
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
        let request = UpdateRequest {
            is_active: Some(false),
            ..UpdateRequest::default()
        };
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

    // The response to a call for one client: what it says about the connection.
    fn report(&self, client: Result<VendorClient, CallError>) -> Result<VendorClient, CallError> {
        match &client {
            Ok(_) => self.health.succeeded(),
            Err(
                CallError::Unauthorized
                | CallError::Forbidden
                | CallError::Status(_)
                | CallError::Unreachable(_)
                | CallError::MalformedResponse(_),
            ) => self.health.request_probe(),
            // One client is missing, or its spec is wrong, or there was no request; a limit is no failure.
            Err(
                CallError::NotFound
                | CallError::Rejected { .. }
                | CallError::Token(_)
                | CallError::Throttled(_),
            ) => {}
        }
        client
    }

    // A POST is sent once, with the cached token, and never repeated here, whatever the response: when its token was
    // refused nothing was done, so the next attempt, with its own record, uses another token.
    async fn once<B: Serialize>(
        &self,
        permit: &Permit,
        operation: Operation,
        path: &str,
        body: Option<&B>,
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let token = self.tokens.cached().ok_or_else(|| NoAnswer {
            reply: Reply::NeverConnected,
            why: Some("no access token is cached".to_owned()),
        })?;
        let request = async {
            let sent = self.send(permit, Method::POST, path, body, within, Some(&token));
            let error = match sent.await {
                Ok(answer) => return (Code::Status(answer.status.as_u16()), Ok(answer)),
                Err(error) => error,
            };
            let code = Code::without_answer(&error);
            let reply = match code {
                Code::NoConnection => Reply::NeverConnected,
                _ => Reply::NoAnswer,
            };
            let why = Some(describe(&error));
            (code, Err(NoAnswer { reply, why }))
        };
        let answer = observed(&self.observer, operation, request).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.tokens.drop_refused(&token);
        }
        Ok(answer)
    }

    async fn call<B: Serialize>(
        &self,
        permit: &Permit,
        operation: Operation,
        method: Method,
        id: &ClientId,
        body: Option<&B>,
    ) -> Result<VendorClient, CallError> {
        // A ClientId needs no escaping: its form is that of one unreserved path segment (RFC 3986 §2.3).
        let path = format!("/{id}");
        let ask = async |token: HeaderValue| {
            let request = async {
                let sent = self.send(
                    permit,
                    method.clone(),
                    &path,
                    body,
                    CALL_WITHIN,
                    Some(&token),
                );
                parse_response(sent.await, id, operation == Operation::Update)
            };
            observed(&self.observer, operation, request).await
        };
        let token = self.tokens.get().await?;
        let answer = ask(token.clone()).await;
        if matches!(answer, Err(CallError::Unauthorized)) && self.tokens.drop_refused(&token) {
            // GET and PUT may be repeated: once, with another token than the refused one.
            return ask(self.tokens.get().await?).await;
        }
        answer
    }

    async fn send<B: Serialize>(
        &self,
        permit: &Permit,
        method: Method,
        path: &str,
        body: Option<&B>,
        within: Duration,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(
                method.clone(),
                format!("{}/oauth2/clients{path}", self.base_url),
            )
            .header(ACCEPT, "application/json")
            .timeout(within);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            // Plain structs of strings and numbers always serialize.
            let body = serde_json::to_vec(body).unwrap_or_default();
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await?;
        let body = read(&mut response).await;
        let answer = Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body,
        };
        permit.response(
            answer.status == StatusCode::TOO_MANY_REQUESTS,
            retry_after(&answer.headers),
            quota(&answer.headers),
        );
        // Of the body its size and no more: a vendor may echo a token or a secret in it.
        debug!(
            %method,
            status = answer.status.as_u16(),
            bytes = answer.body.as_ref().map_or(0, Vec::len),
            request_id = request_id(&answer.headers).unwrap_or_default(),
            "Received a vendor response"
        );
        Ok(answer)
    }
}

// Statuses that may be the connection's problem as well as one client's.
const fn is_suspect(status: u16) -> bool {
    matches!(status, 401 | 403 | 500..=599)
}

fn token_url(base_url: &str) -> String {
    format!("{base_url}/oauth2/token")
}
