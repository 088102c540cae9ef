//! The layer: passes each request of the client through the faults to the server, and the response back.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tower::{BoxError, Layer, Service, ServiceExt};

use super::stream::Twisted;
use super::{Effect, Fault, Faults, Moment, RequestInfo};

type Answer = Response<FaultBody>;

/// Adds [`Faults`] to a client's stack.
#[derive(Debug, Clone)]
pub struct FaultLayer(Faults);

impl FaultLayer {
    pub(super) const fn new(faults: Faults) -> Self {
        Self(faults)
    }
}

impl<S> Layer<S> for FaultLayer {
    type Service = FaultService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService {
            faults: self.0.clone(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }
}

/// A client's transport, wrapped in [`Faults`].
#[derive(Debug)]
pub struct FaultService<S> {
    faults: Faults,
    /// Shared, because a request may be passed on later, after its fault, and kube's stack cannot be cloned.
    inner: Arc<Mutex<S>>,
}

impl<S, B> Service<Request<Body>> for FaultService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (info, fault) = self.faults.admit(RequestInfo::read(&request));
        Box::pin(carry(
            self.faults.clone(),
            self.inner.clone(),
            request,
            info,
            fault,
        ))
    }
}

async fn carry<S, B>(
    faults: Faults,
    inner: Arc<Mutex<S>>,
    request: Request<Body>,
    info: RequestInfo,
    fault: Option<Fault>,
) -> Result<Answer, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Some(answer) = strike(Moment::Before, fault.as_ref(), &info).await {
        return answer;
    }
    let outage = faults.0.outage.subscribe();
    if *outage.borrow() {
        return Err(transport_error(Moment::Before));
    }
    faults.update(info.sequence, |record| record.sent = true);
    // The lock is held only to pass the request on; responses are awaited concurrently.
    let answer = inner
        .lock()
        .await
        .ready()
        .await
        .map_err(Into::into)?
        .call(request);
    let response = answer.await.map_err(Into::into)?;
    let status = response.status().as_u16();
    faults.update(info.sequence, |record| record.status = Some(status));
    if let Some(answer) = strike(Moment::After, fault.as_ref(), &info).await {
        return answer;
    }
    if !info.watch && matches!(&fault, Some(fault) if matches!(fault.effect, Effect::Undecodable)) {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(Into::into)?.to_bytes();
        let body = Full::new(Bytes::from([b"[", body.as_ref()].concat()));
        let inner = body.map_err(Into::into).boxed_unsync();
        let outage = None;
        return Ok(Response::from_parts(head, FaultBody { inner, outage }));
    }
    let outage = info.watch.then(|| until_outage(outage));
    let twist = fault.and_then(|fault| match fault.effect {
        Effect::Watch(twist) if info.watch => Some(twist),
        _ => None,
    });
    Ok(response.map(|body| {
        let body = body.map_err(Into::into).boxed_unsync();
        let inner = match twist {
            Some(twist) => Twisted::new(body, twist).boxed_unsync(),
            None => body,
        };
        FaultBody { inner, outage }
    }))
}

/// Applies a fault of this moment. Some: the request ends here with this result.
async fn strike(
    moment: Moment,
    fault: Option<&Fault>,
    info: &RequestInfo,
) -> Option<Result<Answer, BoxError>> {
    let fault = fault.filter(|fault| fault.moment == moment)?;
    match &fault.effect {
        Effect::Fail => return Some(Err(transport_error(moment))),
        Effect::Answer(code) => return Some(status_answer(*code, info)),
        Effect::Delay(time) => tokio::time::sleep(*time).await,
        Effect::Hang => std::future::pending().await,
        Effect::Watch(_) | Effect::Undecodable => {}
        Effect::Run(hook) => hook(info.clone()).await,
    }
    None
}

pub(super) fn transport_error(moment: Moment) -> BoxError {
    let kind = match moment {
        Moment::Before => io::ErrorKind::ConnectionRefused,
        Moment::After => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, "injected fault").into()
}

/// A response in the API server's form, with the reason that Kubernetes pairs with the code (`metav1.StatusReason`).
fn status_answer(code: u16, info: &RequestInfo) -> Result<Answer, BoxError> {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 if info.method == Method::POST => "AlreadyExists",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {},
        "status": "Failure", "code": code, "reason": reason, "message": format!("injected fault: {reason}"),
    });
    let body = Full::new(Bytes::from(status.to_string()))
        .map_err(Into::into)
        .boxed_unsync();
    let mut response = Response::new(FaultBody {
        inner: body,
        outage: None,
    });
    *response.status_mut() = StatusCode::from_u16(code)?;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

fn until_outage(mut outage: watch::Receiver<bool>) -> Signal {
    Box::pin(async move {
        // If the faults are dropped, no outage can come.
        if outage.wait_for(|on| *on).await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// The body of a response. That of a watch is reset when an outage starts.
pub struct FaultBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    outage: Option<Signal>,
}

impl HttpBody for FaultBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(outage) = &mut self.outage
            && outage.as_mut().poll(context).is_ready()
        {
            // A completed future must not be polled again, so the body ends here.
            *self = Self {
                inner: UnsyncBoxBody::default(),
                outage: None,
            };
            return Poll::Ready(Some(Err(transport_error(Moment::After))));
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }
}
