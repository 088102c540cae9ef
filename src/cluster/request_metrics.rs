//! A layer under the client that counts, times and traces each request, and hears watches speak.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service};
use tracing::{Instrument, Span, debug_span, field};

use super::request::RequestInfo;
use crate::metrics::{Metrics, Watch, Watches};

/// Puts [`RequestMetrics`] around a service.
#[derive(Clone)]
pub struct Measure(Metrics);

impl Measure {
    /// Measures into `metrics`.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self(metrics.clone())
    }
}

impl<S> Layer<S> for Measure {
    type Service = RequestMetrics<S>;

    fn layer(&self, inner: S) -> RequestMetrics<S> {
        RequestMetrics {
            inner,
            metrics: self.0.clone(),
        }
    }
}

/// A service whose requests are measured.
#[derive(Clone)]
pub struct RequestMetrics<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, A, B> Service<Request<A>> for RequestMetrics<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send,
{
    type Response = Response<WatchBody<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let info = RequestInfo::read(request.method(), request.uri());
        let watch = info.watch(request.uri());
        if let Some(watch) = &watch {
            self.metrics.watches.begun(watch);
        }
        let watch = watch.filter(|_| info.verb == "watch");
        let span = span(&info);
        let answer = self.inner.call(request).instrument(span.clone());
        let (metrics, began) = (self.metrics.clone(), Instant::now());
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            metrics
                .api_server
                .asked(info.verb, info.resource, code, began.elapsed());
            match code {
                Some(code) => span.record("code", code),
                None => span.record("code", "none"),
            };
            if code.is_none_or(|code| code >= 400) {
                span.record("otel.status_code", "ERROR");
            }
            let speaks = watch.filter(|_| code == Some(200));
            let heard = speaks.map(|watch| (metrics.watches, watch));
            Ok(answer?.map(|body| WatchBody { body, heard }))
        })
    }
}

// Of a pass only: what watches ask for belongs to none.
fn span(info: &RequestInfo) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    debug_span!(
        "api_server",
        otel.kind = "client",
        otel.status_code = field::Empty,
        verb = info.verb,
        resource = info.resource,
        code = field::Empty
    )
}

/// The body of an answer. That of a watch tells when it speaks.
pub struct WatchBody<B> {
    body: B,
    heard: Option<(Watches, Watch)>,
}

impl<B: Body + Unpin> Body for WatchBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Some((watches, watch)) = &self.heard
            && matches!(polled, Poll::Ready(None | Some(Ok(_))))
        {
            watches.spoke(watch);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
