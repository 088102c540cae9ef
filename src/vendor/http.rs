//! The HTTP client of one connection. No redirects, no retries, no proxy unless asked; every answer bounded in size.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Response};

use super::addresses::{PublicOnly, ResolveError};
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
    /// The host may stand for an address of this machine or its network.
    pub internal: bool,
    /// Proxies of the environment are used (`HTTPS_PROXY`, `NO_PROXY`); they look names up themselves.
    pub proxy: bool,
}

/// Why an HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The authorities' certificates.
    #[error("it holds no certificates in PEM form")]
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
    builder.build().map_err(SetupError::Tls)
}

/// Why there was no answer, in words of ours: those of the libraries may quote what was sent.
pub(super) fn why(error: &reqwest::Error) -> &'static str {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<ResolveError>() {
            Some(ResolveError::Internal) => {
                return "its name stands for an address of this machine, its network or the cluster";
            }
            Some(ResolveError::Unknown(_)) => return "its name is not known",
            None => {}
        }
        if error.to_string().contains("invalid peer certificate") {
            return "its TLS certificate is not trusted, has run out, or is another host's";
        }
        cause = error.source();
    }
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection failed"
    }
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

/// The body, if it is whole and not too large. The status line is worth keeping when it is not: a 404 stays a 404.
pub(super) async fn read(response: &mut Response) -> Result<Vec<u8>, &'static str> {
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
