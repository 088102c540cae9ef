//! Talking to the API server: a client whose requests end, and reading its refusals.

pub mod events;
mod lenient;
mod metadata;
mod request;
mod request_metrics;

use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use kube::client::{Body, ClientBuilder};
use kube::runtime::watcher;
use kube::{Api, Client, Config, Error};
use serde::de::DeserializeOwned;
use tower::layer::util::Stack;
use tower::timeout::TimeoutLayer;

use crate::metrics::Metrics;

pub use lenient::{InvalidObject, LenientObject};
pub use metadata::{FilterMetadata, MetadataFilter, ObjectBody};
pub use request_metrics::{Measure, RequestMetrics, WatchBody};

/// Time until the head of a response; a watch's body may stay quiet longer.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(20);

/// `config` without retries inside the client: our loop is the retry, and a write repeated underneath us would hide a
/// lost answer.
#[must_use]
pub fn without_retries(mut config: Config) -> Config {
    config.default_retry = false;
    config
}

/// What every client of this program has above its timeout: requests are measured into `metrics`, and no object of a
/// response can break the decoding of the others by its metadata.
#[must_use]
pub fn layers(metrics: &Metrics) -> Stack<FilterMetadata, Measure> {
    Stack::new(FilterMetadata, Measure::new(metrics))
}

/// A client for `config` whose every request ends: kube has no bound of its own, and one lost answer would park an
/// object for good. See [`layers`] for the rest.
///
/// # Errors
/// The configuration has unusable certificates or addresses.
pub fn client(config: Config, metrics: &Metrics) -> Result<Client, Error> {
    let timeout = TimeoutLayer::new(REQUEST_WITHIN);
    Ok(ClientBuilder::try_from(without_retries(config))?
        .with_layer(&timeout)
        .with_layer(&layers(metrics))
        .build())
}

/// How far this host's clock and the API server's are apart, by the `Date` of an answer; `None` if it has none.
///
/// # Errors
/// The API server did not answer.
pub async fn clock_difference(client: &Client) -> Result<Option<Duration>, Error> {
    let request = http::Request::get("/version")
        .body(Body::empty())
        .map_err(Error::HttpError)?;
    let answer = client.send(request).await?;
    let date = answer.headers().get(http::header::DATE);
    let date = date
        .and_then(|date| date.to_str().ok())
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    Ok(date.map(|date| {
        let apart = Timestamp::now().duration_since(date.timestamp());
        apart.unsigned_abs()
    }))
}

/// 409 because an object of that name exists.
#[must_use]
pub fn is_already_exists(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.is_already_exists())
}

/// 409 because the object has changed since it was read.
#[must_use]
pub fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409 && !status.is_already_exists())
}

/// 404, also where the body is no `Status`.
#[must_use]
pub fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

/// A 4xx that says no to this very request, with its code: rights, quota, admission, validation, size. Not 408, 409 or
/// 429, which pass.
#[must_use]
pub fn refusal(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status)
            if (400..500).contains(&status.code)
                && ![401, 408, 409, 429].contains(&status.code) =>
        {
            Some(status.code)
        }
        _ => None,
    }
}

/// Whether the object `name` is being deleted or gone; `None` if reading it is refused. Reads its metadata, uncached.
///
/// # Errors
/// The API server did not answer.
pub(crate) async fn is_terminating<K>(api: &Api<K>, name: &str) -> Result<Option<bool>, Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    match api.get_metadata(name).await {
        Ok(object) => Ok(Some(object.metadata.deletion_timestamp.is_some())),
        Err(error) if is_not_found(&error) => Ok(Some(true)),
        Err(error) if refusal(&error).is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What failed, for a log line. The text of a response that cannot be decoded is left out: decoding errors quote it, and it
/// may hold credentials.
#[must_use]
pub fn describe(error: &Error) -> String {
    match error {
        Error::SerdeError(error) => format!(
            "the response could not be decoded (line {}, column {})",
            error.line(),
            error.column()
        ),
        Error::Api(status) => one_line(&format!(
            "{} {}: {}",
            status.code, status.reason, status.message
        )),
        error => one_line(&error.to_string()),
    }
}

/// The same for a watch.
#[must_use]
pub fn describe_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error) => format!("list: {}", describe(error)),
        watcher::Error::WatchStartFailed(error) => {
            format!("start of the watch: {}", describe(error))
        }
        watcher::Error::WatchFailed(error) => format!("watch: {}", describe(error)),
        error => error.to_string(),
    }
}

/// The API server's own words about a refused request, on one line and of bounded length. Only for a request that
/// carried no secret: an admission policy may quote what it was shown.
#[must_use]
pub fn message(error: &Error) -> String {
    match error {
        Error::Api(status) => one_line(&status.message),
        _ => "no answer".to_owned(),
    }
}

// Bounded, and without control characters.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}
