//! Watches that do not behave: silent, broken off, expired, or telling old news again.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use serde_json::json;
use tower::BoxError;

/// What becomes of the events of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// None arrives, and the connection stays open.
    Silent,
    /// After so many events the connection is reset.
    Reset(usize),
    /// After so many events the server says that the resource version is too old (410), and ends the watch.
    Expired(usize),
    /// Each event comes twice, with the one before it in between: duplicates, and an older state after a newer one. The
    /// newest is always the last.
    Repeated,
}

/// The body of a watch, one event of JSON per line, as a twist lets it through.
pub(super) struct Twisted {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    twist: Twist,
    partial: Vec<u8>,
    ready: VecDeque<Bytes>,
    passed: usize,
    before: Option<Bytes>,
}

impl Twisted {
    pub(super) fn new(inner: UnsyncBoxBody<Bytes, BoxError>, twist: Twist) -> Self {
        Self {
            inner,
            twist,
            partial: Vec::new(),
            ready: VecDeque::new(),
            passed: 0,
            before: None,
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line = Bytes::from(self.partial.drain(..=end).collect::<Vec<_>>());
            match self.twist {
                Twist::Silent => {}
                Twist::Reset(_) | Twist::Expired(_) => self.ready.push_back(line),
                Twist::Repeated => {
                    self.ready.push_back(line.clone());
                    self.ready.extend(self.before.replace(line.clone()));
                    self.ready.push_back(line);
                }
            }
        }
    }
}

impl Body for Twisted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match self.twist {
                Twist::Reset(after) if self.passed >= after => {
                    // What follows an error is the end.
                    self.inner = UnsyncBoxBody::default();
                    self.twist = Twist::Repeated;
                    let reset = super::layer::transport_error(super::Moment::After);
                    return Poll::Ready(Some(Err(reset)));
                }
                Twist::Expired(after) if self.passed >= after => {
                    self.inner = UnsyncBoxBody::default();
                    self.twist = Twist::Repeated;
                    self.ready = VecDeque::from([Bytes::from(expired())]);
                }
                _ => {}
            }
            if let Some(line) = self.ready.pop_front() {
                self.passed += 1;
                return Poll::Ready(Some(Ok(Frame::data(line))));
            }
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.take_in(&bytes);
                    }
                }
                // A connection that has gone silent does not even tell of its end.
                Poll::Ready(None) if self.twist == Twist::Silent => return Poll::Pending,
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

fn expired() -> String {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "injected fault: too old resource version", "reason": "Expired", "code": 410,
    });
    format!("{}\n", json!({ "type": "ERROR", "object": status }))
}
