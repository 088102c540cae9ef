//! Carries traces to their collector.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::{Request, Response};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use tokio::runtime::Handle;
use tracing::warn;

/// One delivery, connecting included.
const DELIVERY_WITHIN: Duration = Duration::from_secs(10);
/// How often an unreachable collector is logged.
const LOG_EVERY: Duration = Duration::from_mins(10);

/// The exporter's thread knows no event loop, so deliveries are made on ours.
#[derive(Debug)]
pub(super) struct Courier {
    http: reqwest::Client,
    runtime: Handle,
    last_logged: Mutex<Option<Instant>>,
}

impl Courier {
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .timeout(DELIVERY_WITHIN)
            .build()?;
        Ok(Self {
            http,
            runtime: Handle::current(),
            last_logged: Mutex::default(),
        })
    }

    fn failed(&self, why: &str) {
        let mut last_logged = self
            .last_logged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last_logged.is_none_or(|last_logged| last_logged.elapsed() > LOG_EVERY) {
            *last_logged = Some(Instant::now());
            warn!(
                error = why,
                "Failed to deliver traces; reconciling continues without them"
            );
        }
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self
            .runtime
            .spawn(async move { http.send_bytes(request).await });
        let answer = sent.await?;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.failed(answer.status().as_str()),
            Err(error) => self.failed(&error.to_string()),
        }
        answer
    }
}
