//! Misbehaving watches: silent, reset, expired, or repeating old events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use serde_json::json;
use tower::BoxError;

/// How a watch misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// No event arrives, and the connection stays open.
    Silent,
    /// The connection is reset after this many events.
    Reset(usize),
    /// After this many events the server reports that the resource version is too old (410) and ends the watch.
    Expired(usize),
    /// Each event comes twice, with the previous one in between: duplicates, and an older state after a newer one. The newest
    /// state is always the last.
    Repeated,
}

/// The body of a watch, one JSON event per line, changed by a twist.
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
                    // The stream ends after the error.
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
                // A silent connection does not report its end either.
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

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    /// The lines that arrive, and how the stream ends: `end`, `error` or `nothing`.
    async fn through(twist: Twist) -> (Vec<String>, &'static str) {
        let three = Full::new(Bytes::from_static(b"1\n2\n3\n"));
        let mut body = Twisted::new(three.map_err(Into::into).boxed_unsync(), twist);
        let mut lines = Vec::new();
        loop {
            let soon = std::time::Duration::from_millis(50);
            match tokio::time::timeout(soon, body.frame()).await {
                Err(_) => return (lines, "nothing"),
                Ok(None) => return (lines, "end"),
                Ok(Some(Err(_))) => return (lines, "error"),
                Ok(Some(Ok(frame))) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    let text = String::from_utf8_lossy(&bytes);
                    let gone = text.contains("\"code\":410");
                    lines.push(if gone {
                        "410".to_owned()
                    } else {
                        text.trim().to_owned()
                    });
                }
            }
        }
    }

    #[tokio::test]
    async fn each_twist_does_what_it_says() {
        for (twist, lines, end) in [
            (Twist::Silent, "", "nothing"),
            (Twist::Reset(2), "1 2", "error"),
            (Twist::Expired(1), "1 410", "end"),
            // An older state after a newer one, and the newest last.
            (Twist::Repeated, "1 1 2 1 2 3 2 3", "end"),
        ] {
            let (seen, ended) = through(twist).await;
            assert_eq!((seen.join(" ").as_str(), ended), (lines, end), "{twist:?}");
        }
    }
}
