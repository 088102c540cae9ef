//! The body of a response whose objects are rewritten on the way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::rewrite::{Shape, failure, rewrite};

/// A response body without `managedFields`. A watch is passed on event by event, everything else as a whole.
pub struct ObjectBody<B> {
    body: B,
    /// `None` for what is not JSON.
    shape: Option<Shape>,
    /// What has arrived of the body, or of the current line of a watch.
    pending: Vec<u8>,
}

impl<B> ObjectBody<B> {
    pub(super) fn new(body: B, shape: Option<Shape>) -> Self {
        Self {
            body,
            shape,
            pending: Vec::new(),
        }
    }

    // What can be passed on after `data` has arrived.
    fn take_in(&mut self, data: &[u8], shape: Shape) -> Option<Bytes> {
        let end = match shape {
            Shape::Events => data.iter().rposition(|byte| *byte == b'\n'),
            Shape::List | Shape::Object | Shape::Failure(_) => None,
        };
        let Some(end) = end else {
            self.pending.extend_from_slice(data);
            return None;
        };
        let (lines, rest) = data.split_at(end + 1);
        self.pending.extend_from_slice(lines);
        let whole = std::mem::replace(&mut self.pending, rest.to_vec());
        let mut out = Vec::with_capacity(whole.len());
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            match rewrite(line, shape) {
                Some(event) => {
                    out.extend_from_slice(&event);
                    out.push(b'\n');
                }
                None => out.extend_from_slice(line),
            }
        }
        Some(out.into())
    }

    fn take_rest(&mut self, shape: Shape) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.pending);
        if rest.is_empty() {
            return None;
        }
        let rewritten = match shape {
            Shape::Failure(code) => failure(&rest, code),
            shape => rewrite(&rest, shape),
        };
        Some(rewritten.unwrap_or(rest).into())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ObjectBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(shape) = self.shape else {
            return Pin::new(&mut self.body).poll_frame(context);
        };
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    // Trailers mean nothing to a reader of JSON.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if let Some(out) = self.take_in(&data, shape) {
                        return Poll::Ready(Some(Ok(Frame::data(out))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    let rest = self.take_rest(shape);
                    return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use futures::FutureExt;
    use futures::future::poll_fn;

    use super::*;

    struct Chunks(VecDeque<Bytes>);

    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
        }
    }

    fn through(text: &str, chunk: usize, shape: Shape) -> Vec<String> {
        let chunks = text.as_bytes().chunks(chunk).map(Bytes::copy_from_slice);
        let mut body = ObjectBody::new(Chunks(chunks.collect()), Some(shape));
        let mut frames = Vec::new();
        // Never pending.
        let mut next = || poll_fn(|context| Pin::new(&mut body).poll_frame(context)).now_or_never();
        while let Some(Some(Ok(frame))) = next() {
            let data = frame.into_data().unwrap();
            frames.push(String::from_utf8(data.to_vec()).unwrap());
        }
        frames
    }

    #[test]
    fn a_watch_passes_each_event_on_as_soon_as_it_is_whole() {
        let event = |name: &str, fields: &str| {
            format!(r#"{{"type":"ADDED","object":{{"metadata":{{"name":"{name}"{fields}}}}}}}"#)
        };
        let managed = r#","managedFields":[{"manager":"a"}]"#;
        let text = format!("{}\n{}\n{{\"typ", event("a", managed), event("b", managed));
        let expected = format!("{}\n{}\n{{\"typ", event("a", ""), event("b", ""));
        for chunk in [1, 7, 64, 4096] {
            let frames = through(&text, chunk, Shape::Events);
            assert_eq!(frames.concat(), expected, "in pieces of {chunk}");
        }
        let frames = through(&text, 1, Shape::Events);
        assert_eq!(frames.len(), 3, "{frames:?}");
    }

    #[test]
    fn an_object_is_passed_on_as_a_whole() {
        let text =
            "{\"metadata\":{\"managedFields\":[{}],\"name\":\"a\"},\"data\":{\"k\":\"v\"}}\n";
        for chunk in [1, 9, 4096] {
            assert_eq!(
                through(text, chunk, Shape::Object),
                [r#"{"metadata":{"name":"a"},"data":{"k":"v"}}"#]
            );
        }
    }

    #[test]
    fn what_is_not_an_object_is_passed_on_unchanged() {
        for text in ["", "[1]", "{\"metadata\":3}", "not JSON\n"] {
            assert_eq!(through(text, 2, Shape::Object).concat(), text);
            assert_eq!(through(text, 2, Shape::Events).concat(), text);
        }
    }
}
