//! Answers, the ordinary and the hostile ones.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::error::ApiError;
use super::faults::{Fault, Switches};
use super::server::CutConnection;
use super::state::{Grant, StoredClient};

/// Bytes of [`Fault::HugeBody`] that exist at one time.
const CHUNK: usize = 64 * 1024;

/// What a call is answered with, before switches and faults.
pub(super) enum Outcome {
    /// This client, under this status.
    Client(StatusCode, StoredClient),
    /// The new secret of this client. The vendor does not document this body.
    Rotated(StoredClient),
    /// An access token.
    /// With the lifetime that is given.
    Token(String, Grant, Option<Value>),
    /// No.
    Refused(ApiError),
}

/// The client whose secrets an error repeats, if a fault asks for it.
pub(super) struct Confidential {
    pub(super) authorization: Option<String>,
    pub(super) client_secret: Option<String>,
}

/// What becomes of the caller.
pub(super) enum Reply {
    /// It gets this.
    Send(Response<Body>),
    /// It waits.
    Hang,
}

/// The answer to a call: `outcome` as `switches` and `fault` would have it.
pub(super) fn reply(
    outcome: Option<Outcome>,
    fault: Option<&Fault>,
    switches: Switches,
    confidential: &Confidential,
) -> Reply {
    let echo = switches.echo_secrets_in_errors.then_some(confidential);
    let outcome = match fault {
        Some(Fault::Hang(_)) => return Reply::Hang,
        Some(Fault::Drop(_)) => return Reply::Send(cut()),
        Some(Fault::Answer(answer)) => {
            let status =
                StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = match &answer.body {
                Some(body) => with_body(status, "text/plain", body.clone()),
                None => error(
                    &ApiError::new(status, "emulated", "this answer was ordered by a test"),
                    echo,
                ),
            };
            add_headers(&mut response, &answer.headers);
            return Reply::Send(response);
        }
        _ => outcome,
    };
    Reply::Send(match outcome {
        None => cut(),
        Some(Outcome::Refused(refusal)) => error(&refusal, echo),
        Some(Outcome::Client(status, client)) => {
            let body = client_body(&client, fault, switches.float_numbers);
            success(status, &envelope(body, switches.envelope), fault)
        }
        Some(Outcome::Rotated(client)) => success(
            StatusCode::OK,
            &envelope(
                json!({ "clientSecret": client.client_secret }),
                switches.envelope,
            ),
            fault,
        ),
        // RFC 6749 fixes the shape of this one: never in an envelope.
        Some(Outcome::Token(token, grant, stated)) => {
            let mut body = json!({
                "access_token": token,
                "token_type": "Bearer",
                "scope": grant.scopes.join(" "),
            });
            if let Some(stated) = stated {
                body["expires_in"] = stated;
            }
            let mut response = success(StatusCode::OK, &body, fault);
            response
                .headers_mut()
                .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
    })
}

/// Adds header fields, as far as HTTP can carry them.
pub(super) fn add_headers(response: &mut Response<Body>, headers: &[(String, String)]) {
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
}

/// The connection is closed instead.
pub(super) fn cut() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutConnection);
    response
}

/// The answer to a request that never became a call, or was refused.
pub(super) fn error(refusal: &ApiError, echo: Option<&Confidential>) -> Response<Body> {
    let mut body = refusal.body();
    let mut header = None;
    if let Some(confidential) = echo {
        let authorization = confidential.authorization.as_deref().unwrap_or_default();
        let secret = confidential.client_secret.as_deref().unwrap_or_default();
        body["detail"] =
            format!("request with authorization {authorization} and clientSecret {secret}").into();
        body["request"] = json!({ "authorization": authorization, "clientSecret": secret });
        header = HeaderValue::try_from(format!("{authorization}; {secret}")).ok();
    }
    let mut response = with_body(refusal.status, "application/json", body.to_string());
    if let Some(value) = header {
        response.headers_mut().insert("x-request-echo", value);
    }
    response
}

fn client_body(client: &StoredClient, fault: Option<&Fault>, float_numbers: bool) -> Value {
    let mut body = serde_json::to_value(client).unwrap_or_default();
    if float_numbers && let Some(fields) = body.as_object_mut() {
        for value in fields.values_mut() {
            if let Some(number) = value.as_f64() {
                *value = number.into();
            }
        }
    }
    match fault {
        Some(Fault::WithoutSecret) => {
            body.as_object_mut()
                .map(|fields| fields.remove("clientSecret"));
        }
        Some(Fault::WrongClientId(client_id)) => body["clientId"] = client_id.as_str().into(),
        Some(Fault::CreatedAt(time)) => body["createdAt"] = time.to_string().into(),
        _ => {}
    }
    body
}

fn envelope(body: Value, on: bool) -> Value {
    if on { json!({ "data": body }) } else { body }
}

fn success(status: StatusCode, body: &Value, fault: Option<&Fault>) -> Response<Body> {
    let text = body.to_string();
    match fault {
        Some(Fault::Status(other)) => with_body(
            StatusCode::from_u16(*other).unwrap_or(status),
            "application/json",
            text,
        ),
        Some(Fault::EmptyBody) => with_body(status, "application/json", ""),
        Some(Fault::HtmlBody) => with_body(
            status,
            "text/html",
            "<!doctype html><title>OK</title><p>It works.",
        ),
        Some(Fault::DeepJson { depth }) => {
            with_body(status, "application/json", with_depth(&text, *depth))
        }
        Some(Fault::HeaderBomb { count }) => {
            with_headers(with_body(status, "application/json", text), *count)
        }
        Some(Fault::SlowBody {
            milliseconds_per_byte,
        }) => with_length(
            status,
            text.len(),
            slowly(text, Duration::from_millis(*milliseconds_per_byte)),
        ),
        Some(Fault::TruncatedBody) => with_length(status, text.len(), truncated(&text)),
        Some(Fault::HugeBody { bytes }) => {
            with_body(status, "application/json", huge(text, *bytes))
        }
        _ => with_body(status, "application/json", text),
    }
}

fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body that promises its length up front.
fn with_length(status: StatusCode, length: usize, body: Body) -> Response<Body> {
    let mut response = with_body(status, "application/json", body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn with_headers(mut response: Response<Body>, count: u16) -> Response<Body> {
    let filler = "x".repeat(1024);
    let headers: Vec<_> = (0..count)
        .map(|index| (format!("x-filler-{index}"), filler.clone()))
        .collect();
    add_headers(&mut response, &headers);
    response
}

/// `{"a":1}` becomes `{"a":1,"extra":[[[]]]}`.
fn with_depth(object: &str, depth: usize) -> String {
    let open = object.strip_suffix('}').unwrap_or(object);
    format!(
        "{open},\"extra\":{}{}}}",
        "[".repeat(depth),
        "]".repeat(depth)
    )
}

fn slowly(text: String, pause: Duration) -> Body {
    let bytes = stream::iter(text.into_bytes());
    Body::from_stream(bytes.then(move |byte| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, CutConnection>(Bytes::copy_from_slice(&[byte]))
    }))
}

fn truncated(text: &str) -> Body {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let cut = stream::once(async {
        // The server writes what it has when the body has nothing for it at the moment.
        tokio::task::yield_now().await;
        Err(CutConnection)
    });
    Body::from_stream(stream::iter([Ok(half)]).chain(cut))
}

fn huge(text: String, bytes: u64) -> Body {
    let space = Bytes::from(vec![b' '; CHUNK]);
    let full =
        stream::repeat(space.clone()).take(usize::try_from(bytes).unwrap_or(usize::MAX) / CHUNK);
    let rest = space.slice(..usize::try_from(bytes % CHUNK as u64).unwrap_or(0));
    Body::from_stream(
        full.chain(stream::iter([rest, Bytes::from(text)]))
            .map(Ok::<_, CutConnection>),
    )
}
