//! The client that asks the vendor: one request per call, every answer bounded in size and time.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use tracing::debug;

use super::call::{CallObserver, Code, Operation, observed};
use super::http::{self, NetworkPolicy, SetupError, read};
use super::limiter::Permit;
use super::response::{Answer, parse_response};
use super::token::{Credential, Tokens};
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::Reply;
use provident_core::vendor::types::{ClientId, ClientRequest, Field, FieldValue, VendorClient};

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
    /// A client for `base_url` (without a trailing slash) that proves itself by `credential`.
    ///
    /// # Errors
    /// The token cannot be sent, or TLS cannot be set up.
    pub fn new(
        base_url: &str,
        credential: Credential,
        network: &NetworkPolicy,
        observer: CallObserver,
    ) -> Result<Self, ClientError> {
        let http = http::client(network)?;
        let base_url = base_url.trim_end_matches('/').to_owned();
        let token_url = token_url(&base_url);
        let tokens = Tokens::new(http.clone(), token_url, credential, observer.clone());
        Ok(Self {
            http,
            base_url,
            tokens: tokens.ok_or(ClientError::Token)?,
            observer,
        })
    }

    /// Where a client gets its tokens.
    #[must_use]
    pub fn token_url(&self) -> String {
        token_url(&self.base_url)
    }

    /// Sees to it that there is a token, so that a create has nothing to wait for.
    ///
    /// # Errors
    /// There is none, and none could be got.
    pub async fn authorize(&self) -> Result<(), CallError> {
        self.tokens.get().await.map(|_| ())
    }

    /// Whether a token was got since this was last asked.
    #[must_use]
    pub fn token_is_new(&self) -> bool {
        self.tokens.is_new()
    }

    /// When the token at hand runs out, if the vendor has said so.
    #[must_use]
    pub fn token_expires(&self) -> Option<Timestamp> {
        self.tokens.expires()
    }

    /// `POST /oauth2/clients`, once. Never fails: what is known of it is in the reply.
    pub async fn create(&self, _permit: Permit, request: &ClientRequest<'_>) -> CreateReply {
        let sent = self.once(Operation::Create, "", Some(request), CREATE_WITHIN);
        CreateReply::of_create(sent.await)
    }

    /// `GET /oauth2/clients/{clientId}`.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn get(&self, _permit: Permit, id: &ClientId) -> Result<VendorClient, CallError> {
        self.call::<()>(Operation::Get, Method::GET, id, None).await
    }

    /// `PUT /oauth2/clients/{clientId}` with the given fields; answers the client as it is then.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn update(
        &self,
        _permit: Permit,
        id: &ClientId,
        request: &ClientRequest<'_>,
    ) -> Result<VendorClient, CallError> {
        self.call(Operation::Update, Method::PUT, id, Some(request))
            .await
    }

    /// `PUT /oauth2/clients/{clientId}` with `isActive: false` and nothing else.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client, which may be active all the same.
    pub async fn deactivate(
        &self,
        _permit: Permit,
        id: &ClientId,
    ) -> Result<VendorClient, CallError> {
        let request = ClientRequest::from_iter([(Field::IsActive, FieldValue::Flag(false))]);
        self.call(Operation::Deactivate, Method::PUT, id, Some(&request))
            .await
    }

    /// `POST /oauth2/clients/{clientId}/rotate-secret`, once. Never fails; the body is not looked at, as its shape is not
    /// documented (API document), so the reply has no client.
    pub async fn rotate(&self, _permit: Permit, id: &ClientId) -> CreateReply {
        let path = format!("/{id}/rotate-secret");
        let sent = self.once::<()>(Operation::Rotate, &path, None, CALL_WITHIN);
        CreateReply::of_rotation(sent.await)
    }

    // A POST is sent at once, with the token at hand, and whatever is answered not again from here: of a refused token
    // it is known that nothing was done, so that the next attempt, with its own record, finds another.
    async fn once<B: Serialize>(
        &self,
        operation: Operation,
        path: &str,
        body: Option<&B>,
        within: Duration,
    ) -> Result<Answer, Reply> {
        let token = self.tokens.at_hand().ok_or(Reply::NeverConnected)?;
        let request = async {
            match self.send(Method::POST, path, body, within, &token).await {
                Ok(answer) => (Code::Status(answer.status.as_u16()), Ok(answer)),
                Err(error) => match Code::without_answer(&error) {
                    code @ Code::NoConnection => (code, Err(Reply::NeverConnected)),
                    code => (code, Err(Reply::NoAnswer)),
                },
            }
        };
        let answer = observed(&self.observer, operation, request).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.tokens.refused(&token);
        }
        Ok(answer)
    }

    async fn call<B: Serialize>(
        &self,
        operation: Operation,
        method: Method,
        id: &ClientId,
        body: Option<&B>,
    ) -> Result<VendorClient, CallError> {
        // A ClientId needs no escaping: its form is that of one unreserved path segment (RFC 3986 §2.3).
        let path = format!("/{id}");
        let ask = async |token: HeaderValue| {
            let request = async {
                let sent = self.send(method.clone(), &path, body, CALL_WITHIN, &token);
                parse_response(sent.await, id)
            };
            observed(&self.observer, operation, request).await
        };
        let token = self.tokens.get().await?;
        let answer = ask(token.clone()).await;
        if matches!(answer, Err(CallError::Unauthorized)) && self.tokens.refused(&token) {
            // GET and PUT may be repeated: with a token that is not the refused one, once.
            return ask(self.tokens.get().await?).await;
        }
        answer
    }

    async fn send<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        within: Duration,
        token: &HeaderValue,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(
                method.clone(),
                format!("{}/oauth2/clients{path}", self.base_url),
            )
            .header(AUTHORIZATION, token.clone())
            .header(ACCEPT, "application/json")
            .timeout(within);
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
        let request_id = answer.headers.get("x-request-id");
        // Of the body its size and no more: a vendor may echo a token or a secret in it.
        debug!(
            %method,
            status = answer.status.as_u16(),
            bytes = answer.body.as_ref().map_or(0, Vec::len),
            request_id = request_id.and_then(|id| id.to_str().ok()).unwrap_or_default(),
            "vendor answered"
        );
        Ok(answer)
    }
}

fn token_url(base_url: &str) -> String {
    format!("{base_url}/oauth2/token")
}
