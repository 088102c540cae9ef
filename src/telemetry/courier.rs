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
/// A collector that is away is told of this often.
const TOLD_EVERY: Duration = Duration::from_mins(10);

/// The exporter's thread knows no event loop, so deliveries are made on ours.
#[derive(Debug)]
pub(super) struct Courier {
    http: reqwest::Client,
    runtime: Handle,
    told: Mutex<Option<Instant>>,
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
            told: Mutex::default(),
        })
    }

    fn failed(&self, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > TOLD_EVERY) {
            *told = Some(Instant::now());
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
