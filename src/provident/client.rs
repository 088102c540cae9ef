//! The client that asks the vendor. No redirects, no retries, no proxy; every answer bounded in size and time.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tracing::debug;

use super::error::CallError;
use super::limiter::{Permit, parse_retry_after};
use super::outcome::{Made, Reply};
use super::types::{
    ClientId, CreateRequest, UpdateRequest, VendorClient, decode_client, error_code,
};

/// Name resolution, TCP and TLS together.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// A create, from its first byte to the last byte of its answer.
const CREATE_WITHIN: Duration = Duration::from_mins(1);
/// Any other call.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Talks to one base URL with one token.
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    authorization: HeaderValue,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The token has characters that an HTTP header cannot carry.
    #[error("the token has characters that no HTTP header can carry")]
    Token,
    /// The TLS stack or its root certificates could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(#[source] reqwest::Error),
}

/// What came back from a create, or from a rotation, which cannot be repeated either.
pub struct CreateReply {
    /// For [`super::outcome::classify`].
    pub reply: Reply,
    /// The client of a 2xx body.
    pub client: Option<VendorClient>,
    /// The vendor's error code, if it has a plain form.
    pub code: Option<String>,
    /// `Retry-After`, if it could be read.
    pub retry_after: Option<Duration>,
}

impl CreateReply {
    /// The metric label of the reply.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.reply {
            Reply::NeverConnected => "no_connection",
            Reply::NoAnswer => "none",
            Reply::Answer { status, .. } => match status {
                200..=299 => "2xx",
                300..=399 => "3xx",
                401 => "401",
                403 => "403",
                429 => "429",
                400..=499 => "4xx",
                _ => "5xx",
            },
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Vec<u8>, &'static str>,
}

impl Client {
    /// A client for `base_url` (without a trailing slash) that sends `token`.
    ///
    /// # Errors
    /// The token cannot be sent, or TLS cannot be set up.
    pub fn new(base_url: &str, token: &SecretString) -> Result<Self, ClientError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ClientError::Token)?;
        authorization.set_sensitive(true);
        let http = reqwest::Client::builder()
            // A 307 or 308 would repeat a create, elsewhere even.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_WITHIN)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .user_agent(concat!("provident-operator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self {
            http,
            base_url: base_url.trim_end_matches('/').to_owned(),
            authorization,
        })
    }

    /// Where a client gets its tokens.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}/oauth2/token", self.base_url)
    }

    /// `POST /oauth2/clients`, once. Never fails: what is known of it is in the reply.
    pub async fn create(&self, _permit: Permit, request: &CreateRequest) -> CreateReply {
        let none = |reply| CreateReply {
            reply,
            client: None,
            code: None,
            retry_after: None,
        };
        let answer = match self
            .send(Method::POST, "", Some(request), CREATE_WITHIN)
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return none(Reply::NeverConnected),
            Err(_) => return none(Reply::NoAnswer),
        };
        let body = answer.body.as_deref().unwrap_or_default();
        let client = answer
            .status
            .is_success()
            .then(|| decode_client(body))
            .flatten();
        let made = client.as_ref().and_then(|client| {
            Some(Made {
                client_id: ClientId::parse(client.client_id.as_deref()?)?,
                created_at: client.created_at,
                answered_at: answer.date(),
            })
        });
        CreateReply {
            reply: Reply::Answer {
                status: answer.status.as_u16(),
                client: made,
            },
            client,
            code: error_code(body),
            retry_after: answer.retry_after(),
        }
    }

    /// `GET /oauth2/clients/{clientId}`.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn get(&self, _permit: Permit, id: &ClientId) -> Result<VendorClient, CallError> {
        self.call::<()>(Method::GET, id, None).await
    }

    /// `PUT /oauth2/clients/{clientId}` with the given fields; answers the client as it is then.
    ///
    /// # Errors
    /// Every answer but a 2xx with this very client.
    pub async fn update(
        &self,
        _permit: Permit,
        id: &ClientId,
        request: &UpdateRequest,
    ) -> Result<VendorClient, CallError> {
        self.call(Method::PUT, id, Some(request)).await
    }

    /// `POST /oauth2/clients/{clientId}/rotate-secret`, once. Never fails; the body is not looked at, as its shape is not
    /// documented (API document), so the reply has no client.
    pub async fn rotate(&self, _permit: Permit, id: &ClientId) -> CreateReply {
        let path = format!("/{id}/rotate-secret");
        let answer = self
            .send::<()>(Method::POST, &path, None, CALL_WITHIN)
            .await;
        let (reply, code, retry_after) = match &answer {
            Ok(answer) => (
                Reply::Answer {
                    status: answer.status.as_u16(),
                    client: None,
                },
                error_code(answer.body.as_deref().unwrap_or_default()),
                answer.retry_after(),
            ),
            Err(error) if error.is_connect() => (Reply::NeverConnected, None, None),
            Err(_) => (Reply::NoAnswer, None, None),
        };
        CreateReply {
            reply,
            client: None,
            code,
            retry_after,
        }
    }

    async fn call<B: Serialize>(
        &self,
        method: Method,
        id: &ClientId,
        body: Option<&B>,
    ) -> Result<VendorClient, CallError> {
        // A ClientId needs no escaping: its form is that of one unreserved path segment (RFC 3986 §2.3).
        let answer = self
            .send(method, &format!("/{id}"), body, CALL_WITHIN)
            .await
            .map_err(|error| {
                CallError::Unreachable(if error.is_timeout() {
                    "no answer in time"
                } else {
                    "the connection failed"
                })
            })?;
        let status = answer.status.as_u16();
        match status {
            200..=299 => {}
            401 => return Err(CallError::Unauthorized),
            403 => return Err(CallError::Forbidden),
            404 => return Err(CallError::NotFound),
            429 => return Err(CallError::Throttled(answer.retry_after())),
            400 | 409 | 413 | 422 => {
                let code = error_code(answer.body.as_deref().unwrap_or_default());
                return Err(CallError::Rejected { status, code });
            }
            _ => return Err(CallError::Status(status)),
        }
        let body = answer.body.map_err(CallError::NotUnderstood)?;
        let client =
            decode_client(&body).ok_or(CallError::NotUnderstood("there is no client in it"))?;
        if client.client_id.as_deref() != Some(id.as_str()) {
            return Err(CallError::NotUnderstood("it is another client's"));
        }
        Ok(client)
    }

    async fn send<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        within: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(
                method.clone(),
                format!("{}/oauth2/clients{path}", self.base_url),
            )
            .header(AUTHORIZATION, self.authorization.clone())
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
        // Of the body its size and no more: a vendor may echo a token or a secret in it.
        debug!(
            %method,
            status = answer.status.as_u16(),
            bytes = answer.body.as_ref().map_or(0, Vec::len),
            request_id = answer.header("x-request-id").unwrap_or_default(),
            "vendor answered"
        );
        Ok(answer)
    }
}

impl Answer {
    fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn date(&self) -> Option<Timestamp> {
        Some(
            jiff::fmt::rfc2822::parse(self.header(DATE)?)
                .ok()?
                .timestamp(),
        )
    }

    fn retry_after(&self) -> Option<Duration> {
        let now = self.date().unwrap_or_else(Timestamp::now);
        parse_retry_after(self.header(RETRY_AFTER)?, now)
    }
}

// The status line is worth keeping when the body breaks: a 404 stays a 404.
async fn read(response: &mut Response) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Err("it is larger than 1 MiB");
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err("it broke off"),
        }
    }
}
