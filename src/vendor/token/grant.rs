//! One request for a token, and what is made of the answer.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tracing::debug;
use url::form_urlencoded;

use super::bearer;
use crate::vendor::call::Code;
use crate::vendor::http::{read, request_id, retry_after};
use crate::vendor::transport_error::describe;
use provident_core::vendor::error::TokenError;
use provident_core::vendor::types::error_code;

const FETCH_WITHIN: Duration = Duration::from_secs(15);
/// How long a token is used if the vendor states no lifetime, or an absurd one. Also if it never expires (`expires_in` 0 at
/// this vendor): a new one costs one call in this time.
const UNSTATED: Duration = Duration::from_mins(5);
/// None is used for longer.
const LONGEST: Duration = Duration::from_hours(24);
/// The longest token that is taken, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;

/// A token, as a header, and how long it is used.
pub(super) struct TokenResponse {
    pub(super) header: HeaderValue,
    pub(super) lifetime: Duration,
    /// The lifetime is the vendor's word.
    pub(super) stated: bool,
}

#[derive(Deserialize)]
struct Body {
    access_token: SecretString,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
}

pub(super) async fn fetch(
    http: &reqwest::Client,
    url: &str,
    id: &str,
    secret: &SecretString,
) -> (Code, Result<TokenResponse, TokenError>) {
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
            return (code, Err(TokenError::Unreachable(describe(&error))));
        }
    };
    let body = read(&mut response).await;
    let status = response.status().as_u16();
    debug!(
        status,
        bytes = body.as_ref().map_or(0, Vec::len),
        request_id = request_id(response.headers()).unwrap_or_default(),
        "Received a token response"
    );
    let grant = match status {
        200 => body
            .map_err(TokenError::MalformedResponse)
            .and_then(|body| parse_token_response(&body)),
        // RFC 6749 section 5.2: invalid_client and its kin come as 400 or 401.
        400 | 401 | 403 => Err(TokenError::Refused {
            status,
            code: body.ok().and_then(|body| error_code(&body)),
        }),
        429 => Err(TokenError::Throttled(retry_after(response.headers()))),
        _ => Err(TokenError::Status(status)),
    };
    (Code::of_token(status, &grant), grant)
}

pub(super) fn parse_token_response(body: &[u8]) -> Result<TokenResponse, TokenError> {
    let unreadable = TokenError::MalformedResponse("the body contains no usable access token");
    let Ok(answer) = serde_json::from_slice::<Body>(body) else {
        return Err(unreadable);
    };
    let kind = answer.token_type.as_deref().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(TokenError::MalformedResponse(
            "its token_type is not Bearer",
        ));
    }
    let token = answer.access_token.expose_secret();
    let header = bearer(token).filter(|_| !token.is_empty() && token.len() <= LONGEST_TOKEN);
    let stated = answer.expires_in.as_ref().and_then(seconds);
    Ok(TokenResponse {
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
