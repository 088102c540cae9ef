//! Reads what the vendor answers.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::call::Code;
use super::http::{date, retry_after};
use super::transport_error::describe;
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::{Made, Reply};
use provident_core::vendor::types::{ClientId, VendorClient, decode_client, error_code};

/// An answer as it came; a body that is too long or breaks off is none.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Result<Vec<u8>, &'static str>,
}

impl Answer {
    fn text(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    fn reply(&self, client: Option<Made>) -> CreateReply {
        CreateReply {
            reply: Reply::Answer {
                status: self.status.as_u16(),
                client,
            },
            client: None,
            code: error_code(self.text()),
            retry_after: retry_after(&self.headers),
            transport_error: None,
        }
    }
}

/// A request that got no answer.
pub(super) struct NoAnswer {
    /// Whether it may have been sent.
    pub reply: Reply,
    /// The cause, in the operator's words.
    pub why: Option<String>,
}

/// What came back from a create, or from a rotation, which cannot be repeated either.
pub struct CreateReply {
    /// For [`provident_core::vendor::outcome::classify`].
    pub reply: Reply,
    /// The client of a 2xx body.
    pub client: Option<VendorClient>,
    /// The vendor's error code, if it has a plain form.
    pub code: Option<String>,
    /// `Retry-After`, if it could be read.
    pub retry_after: Option<Duration>,
    /// Why there is no answer.
    pub transport_error: Option<String>,
}

impl CreateReply {
    /// The metric label of the reply.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.reply {
            Reply::NeverConnected => "no_connection",
            Reply::NoAnswer => "none",
            Reply::Answer { status, .. } => match status {
                200..=299 => "2xx",
                300..=399 => "3xx",
                401 => "401",
                403 => "403",
                429 => "429",
                400..=499 => "4xx",
                _ => "5xx",
            },
        }
    }

    /// Reads the answer to a create.
    pub(super) fn of_create(sent: Result<Answer, NoAnswer>) -> Self {
        let answer = match sent {
            Ok(answer) => answer,
            Err(none) => return Self::without_answer(none),
        };
        let client = answer
            .status
            .is_success()
            .then(|| decode_client(answer.text()))
            .flatten();
        let made = client.as_ref().and_then(|client| {
            Some(Made {
                client_id: ClientId::parse(client.client_id.as_deref()?)?,
                created_at: client.created_at,
                answered_at: date(&answer.headers),
            })
        });
        Self {
            client,
            ..answer.reply(made)
        }
    }

    /// Reads the answer to a rotation.
    pub(super) fn of_rotation(sent: Result<Answer, NoAnswer>) -> Self {
        sent.map_or_else(Self::without_answer, |answer| answer.reply(None))
    }

    fn without_answer(none: NoAnswer) -> Self {
        Self {
            reply: none.reply,
            client: None,
            code: None,
            retry_after: None,
            transport_error: none.why,
        }
    }
}

/// The client in an answer to a call about `id`, and the code that a metric gives the call. `carries_spec`: the request
/// has fields of the spec, so that an edit of the spec can end its rejection.
pub(super) fn parse_response(
    answer: Result<Answer, reqwest::Error>,
    id: &ClientId,
    carries_spec: bool,
) -> (Code, Result<VendorClient, CallError>) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let code = Code::without_answer(&error);
            return (code, Err(CallError::Unreachable(describe(&error))));
        }
    };
    let status = answer.status.as_u16();
    let client = client_in(answer, id, carries_spec);
    (Code::of_call(status, &client), client)
}

fn client_in(answer: Answer, id: &ClientId, carries_spec: bool) -> Result<VendorClient, CallError> {
    let status = answer.status.as_u16();
    match status {
        200..=299 => {}
        401 => return Err(CallError::Unauthorized),
        403 => return Err(CallError::Forbidden),
        404 => return Err(CallError::NotFound),
        429 => return Err(CallError::Throttled(retry_after(&answer.headers))),
        400 | 409 | 413 | 422 if carries_spec => {
            let code = error_code(answer.text());
            return Err(CallError::Rejected { status, code });
        }
        _ => return Err(CallError::Status(status)),
    }
    let body = answer.body.map_err(CallError::MalformedResponse)?;
    let client =
        decode_client(&body).ok_or(CallError::MalformedResponse("the body contains no client"))?;
    if client.client_id.as_deref() != Some(id.as_str()) {
        return Err(CallError::MalformedResponse(
            "the body is of another client",
        ));
    }
    Ok(client)
}
