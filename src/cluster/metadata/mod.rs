//! A layer below the Kubernetes client that rewrites the metadata of every object before anything typed reads it.
//!
//! A tenant controls parts of an object's metadata that this operator never uses, and the API server accepts values there
//! that typed decoding rejects: `managedFields` with a time in the last hours of the year 9999, or nested hundreds of levels
//! deep. One such object would fail the list or the watch for all others. The layer works on every response, so that no
//! list, watch, read or answer to a write can be forgotten; it also saves the memory that `managedFields` would take.

mod body;
mod rewrite;

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use tower::{Layer, Service};

use super::request::RequestInfo;
pub use body::ObjectBody;
use rewrite::Shape;

/// Puts [`MetadataFilter`] around a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilterMetadata;

impl<S> Layer<S> for FilterMetadata {
    type Service = MetadataFilter<S>;

    fn layer(&self, inner: S) -> MetadataFilter<S> {
        MetadataFilter { inner }
    }
}

/// A service whose responses carry no `managedFields`, and only times that can be decoded in their metadata. A failure
/// carries a Kubernetes `Status` or nothing: kube would put any other body into its error, and so into the log.
#[derive(Clone)]
pub struct MetadataFilter<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for MetadataFilter<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<ObjectBody<B>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let shape = match RequestInfo::read(request.method(), request.uri()).verb {
            "watch" => Shape::Events,
            "list" => Shape::List,
            _ => Shape::Object,
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            let code = response.status();
            let shape = if code.is_client_error() || code.is_server_error() {
                Some(Shape::Failure(code.as_u16()))
            } else {
                is_json(&response).then_some(shape)
            };
            Ok(response.map(|body| ObjectBody::new(body, shape)))
        })
    }
}

fn is_json<B>(response: &Response<B>) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"))
}
