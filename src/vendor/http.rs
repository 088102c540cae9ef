//! The HTTP client of one connection. No redirects, no retries, no proxy unless asked; every answer bounded in size.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Response};

use super::addresses::PublicOnly;
use super::limiter::parse_retry_after;

/// Name resolution, TCP and TLS together.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// The most header fields of an answer; all together the HTTP parser takes 400 KiB.
const MOST_HEADERS: usize = 64;

/// How a connection reaches its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Certificates of authorities that are trusted besides the public ones, as PEM.
    pub authorities: Option<String>,
    /// The host may resolve to a private address.
    pub internal: bool,
    /// Proxies of the environment are used (`HTTPS_PROXY`, `NO_PROXY`); they resolve names themselves.
    pub proxy: bool,
}

/// Why an HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The authorities' certificates.
    #[error("contains no PEM certificates, or one that cannot be read")]
    Authorities,
    /// The TLS stack or its root certificates could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Tls(#[source] reqwest::Error),
}

pub(super) fn client(network: &NetworkPolicy) -> Result<reqwest::Client, SetupError> {
    let mut builder = reqwest::Client::builder()
        // A 307 or 308 would repeat a create, elsewhere even.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .http1_max_headers(MOST_HEADERS)
        .connect_timeout(CONNECT_WITHIN)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .user_agent(concat!("provident-operator/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = &network.authorities {
        let certificates =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| SetupError::Authorities)?;
        if certificates.is_empty() {
            return Err(SetupError::Authorities);
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if !network.proxy {
        builder = builder.no_proxy();
        if !network.internal {
            builder = builder.dns_resolver(PublicOnly);
        }
    }
    builder.build().map_err(|error| {
        // The builder does not say which certificate it cannot read: without the extra ones it can only be set up or not.
        let without = NetworkPolicy {
            authorities: None,
            ..network.clone()
        };
        if network.authorities.is_some() && client(&without).is_ok() {
            SetupError::Authorities
        } else {
            SetupError::Tls(error)
        }
    })
}

/// When the vendor answered, by its own clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(headers.get(DATE)?.to_str().ok()?);
    Some(date.ok()?.timestamp())
}

/// How long the vendor asks to wait.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let now = date(headers).unwrap_or_else(Timestamp::now);
    parse_retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// The vendor's id of a request, if it has a plain form: it goes to the log, and is the vendor's to choose.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get("x-request-id")?.to_str().ok()?;
    let plain = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c));
    plain.then_some(id)
}

/// The body, if it is whole and not too large. The status line is worth keeping when it is not: a 404 stays a 404.
pub(super) async fn read(response: &mut Response) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST_ANSWER => {
                return Err("the body is larger than 1 MiB");
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err("the body ended early"),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_request_id_is_logged_only_in_its_plain_form() {
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            let headers = HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static("x-request-id"),
                value,
            )]);
            request_id(&headers).map(str::to_owned)
        };
        let longest = "a".repeat(64);
        for good in ["0705e1a5-afa8.A_b", "x", &longest] {
            assert_eq!(of(good.as_bytes()).as_deref(), Some(good));
        }
        let too_long = "a".repeat(65);
        for bad in [
            "",
            "a b",
            "id=secret",
            "Bearer/abc",
            "\u{202e}abc",
            "a:b",
            &too_long,
        ] {
            assert_eq!(of(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn authorities_that_cannot_be_read_are_refused_as_such() {
        for pem in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let network = NetworkPolicy {
                authorities: Some(pem.to_owned()),
                ..NetworkPolicy::default()
            };
            assert!(
                matches!(client(&network), Err(SetupError::Authorities)),
                "{pem}"
            );
        }
    }
}
