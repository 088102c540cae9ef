//! One request for a token, and what is made of the answer.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tracing::debug;
use url::form_urlencoded;

use super::bearer;
use crate::vendor::call::Code;
use crate::vendor::http::{read, retry_after, why};
use provident_core::vendor::error::CallError;

const FETCH_WITHIN: Duration = Duration::from_secs(15);
/// A token of which the vendor does not say how long it lives, or says nonsense, is used this long. That of one that
/// never runs out (`expires_in` 0 at this vendor) too: fetching it anew costs one call in so long.
const UNSTATED: Duration = Duration::from_mins(5);
/// None is used for longer.
const LONGEST: Duration = Duration::from_hours(24);
/// The longest token that is taken, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// A token, as a header, and how long it is used.
pub(super) struct Grant {
    pub(super) header: HeaderValue,
    pub(super) lifetime: Duration,
    /// The lifetime is the vendor's word.
    pub(super) stated: bool,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
}

pub(super) async fn fetch(
    http: &reqwest::Client,
    url: &str,
    id: &str,
    secret: &SecretString,
) -> (Code, Result<Grant, CallError>) {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", id)
        .append_pair("client_secret", secret.expose_secret())
        .finish();
    let sent = http
        .post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .timeout(FETCH_WITHIN)
        .body(form)
        .send()
        .await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => {
            let code = Code::without_answer(&error);
            return (code, Err(CallError::Unreachable(why(&error))));
        }
    };
    let body = read(&mut response).await;
    let status = response.status().as_u16();
    debug!(
        status,
        bytes = body.as_ref().map_or(0, Vec::len),
        "vendor answered a request for a token"
    );
    let grant = match status {
        200 => body
            .map_err(CallError::NotUnderstood)
            .and_then(|body| understand(&body)),
        // RFC 6749 section 5.2: invalid_client and its kin come as 400 or 401.
        400 | 401 | 403 => Err(CallError::Unauthorized),
        429 => Err(CallError::Throttled(retry_after(response.headers()))),
        _ => Err(CallError::Status(status)),
    };
    (Code::of(status, &grant), grant)
}

pub(super) fn understand(body: &[u8]) -> Result<Grant, CallError> {
    let unreadable = CallError::NotUnderstood("there is no access token in it");
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
        return Err(unreadable);
    };
    let kind = answer.token_type.as_deref().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(CallError::NotUnderstood("its token is no bearer token"));
    }
    let token = answer.access_token.expose_secret();
    let header = bearer(token).filter(|_| !token.is_empty() && token.len() <= LONGEST_TOKEN);
    let stated = answer.expires_in.as_ref().and_then(seconds);
    Ok(Grant {
        header: header.ok_or(unreadable)?,
        lifetime: stated.unwrap_or(UNSTATED),
        stated: stated.is_some(),
    })
}

// Seconds, as a number or as text; `None` for what is no lifetime.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value
        .as_f64()
        .or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))?;
    (number >= 1.0).then(|| Duration::from_secs_f64(number.min(LONGEST.as_secs_f64())))
}
