//! What is known after a create was sent. Pure, and the one place that decides it.
//!
//! Create is not idempotent and the API has no list, so the question is never "did it fail" but "is it known that
//! nothing was made". Everything that is not known is [`Outcome::Unknown`].

use jiff::{SignedDuration, Timestamp};

use super::types::ClientId;

/// A new client's `createdAt` lies within this of the answer's own `Date`, where both are given.
pub const NEW_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// What came back from a `POST /oauth2/clients`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The connection was never made (name resolution, TCP or TLS): not a byte of the request left.
    NeverConnected,
    /// Something was or may have been sent, and no status line came back: timeout, reset, closed.
    NoAnswer,
    /// A status line came back.
    Answer {
        /// HTTP status.
        status: u16,
        /// The client of a 2xx body, if one with a clientId of safe form could be read.
        client: Option<Made>,
    },
}

/// The client that a 2xx answer names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Made {
    /// Its identifier.
    pub client_id: ClientId,
    /// `createdAt` of the body.
    pub created_at: Option<Timestamp>,
    /// `Date` header of the same answer: the vendor's own clock.
    pub answered_at: Option<Timestamp>,
}

/// What is known of a create.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Known: no client was made. The claim may be dropped.
    NotCreated(Refusal),
    /// Known: this client was made for this attempt.
    Created(ClientId),
    /// Not known: the attempt is held until a person decides.
    Unknown(Ambiguity),
}

/// Why nothing was made, and hence what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No connection: again with backoff.
    Unreachable,
    /// 400, 409, 413, 422: the same request will be refused again; waits for an edit.
    Invalid,
    /// 401 or 403: the connection's credentials.
    Unauthorized,
    /// 429: again when the vendor allows.
    Throttled,
    /// A redirect that keeps the method (301, 307, 308), or another 4xx: again with backoff.
    Other,
}

/// Why it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ambiguity {
    /// No answer, an answer that does not say, or a 2xx without a readable clientId.
    NoAnswer,
    /// A 2xx whose client is one we know already, or was made long ago: not the answer to this create.
    ExistingClient,
}

/// Classifies a create's reply. `recorded_elsewhere` tells whether another object of this cluster records a client.
///
/// | known | replies |
/// | --- | --- |
/// | not created | never connected; 301, 307, 308; 4xx but 408 |
/// | created | 2xx with a clientId that is new |
/// | unknown | all else, every 5xx among it: a gateway answers 503 after the vendor took the request |
pub fn classify(reply: &Reply, recorded_elsewhere: impl FnOnce(&ClientId) -> bool) -> Outcome {
    let (status, client) = match reply {
        Reply::NeverConnected => return Outcome::NotCreated(Refusal::Unreachable),
        Reply::NoAnswer => return Outcome::Unknown(Ambiguity::NoAnswer),
        Reply::Answer { status, client } => (*status, client),
    };
    match (status, client) {
        (200..=299, Some(made)) if is_old(made) || recorded_elsewhere(&made.client_id) => {
            Outcome::Unknown(Ambiguity::ExistingClient)
        }
        (200..=299, Some(made)) => Outcome::Created(made.client_id.clone()),
        (400 | 409 | 413 | 422, _) => Outcome::NotCreated(Refusal::Invalid),
        (401 | 403, _) => Outcome::NotCreated(Refusal::Unauthorized),
        (429, _) => Outcome::NotCreated(Refusal::Throttled),
        (408, _) => Outcome::Unknown(Ambiguity::NoAnswer),
        (301 | 307 | 308 | 400..=499, _) => Outcome::NotCreated(Refusal::Other),
        _ => Outcome::Unknown(Ambiguity::NoAnswer),
    }
}

fn is_old(made: &Made) -> bool {
    match (made.created_at, made.answered_at) {
        (Some(created), Some(answered)) => created.duration_until(answered).abs() > NEW_WITHIN,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, client: Option<Made>) -> Outcome {
        classify(&Reply::Answer { status, client }, |_| false)
    }

    fn made(created: Option<&str>, answered: Option<&str>) -> Made {
        Made {
            client_id: ClientId::parse("c1").unwrap(),
            created_at: created.map(|t| t.parse().unwrap()),
            answered_at: answered.map(|t| t.parse().unwrap()),
        }
    }

    #[test]
    fn s11_s12_s13_s14_s15_every_status_is_classified_by_what_is_known() {
        for status in 100..=599_u16 {
            let known_not_created = matches!(status, 301 | 307 | 308)
                || ((400..=499).contains(&status) && status != 408);
            match answer(status, None) {
                Outcome::NotCreated(_) => assert!(known_not_created, "{status}"),
                Outcome::Unknown(Ambiguity::NoAnswer) => assert!(!known_not_created, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        assert_eq!(
            classify(&Reply::NeverConnected, |_| false),
            Outcome::NotCreated(Refusal::Unreachable)
        );
        assert_eq!(
            classify(&Reply::NoAnswer, |_| false),
            Outcome::Unknown(Ambiguity::NoAnswer)
        );
    }

    #[test]
    fn only_what_cannot_succeed_unchanged_waits_for_an_edit() {
        for status in [400, 409, 413, 422] {
            assert_eq!(answer(status, None), Outcome::NotCreated(Refusal::Invalid));
        }
        for status in [404, 405, 410, 418, 426] {
            assert_eq!(answer(status, None), Outcome::NotCreated(Refusal::Other));
        }
    }

    #[test]
    fn a_client_that_is_known_or_old_is_not_the_answer() {
        let new = made(Some("2026-01-01T00:00:00Z"), Some("2026-01-01T00:00:01Z"));
        let old = made(Some("2025-12-31T00:00:00Z"), Some("2026-01-01T00:00:01Z"));
        assert_eq!(
            answer(201, Some(new.clone())),
            Outcome::Created(new.client_id.clone())
        );
        assert_eq!(
            answer(200, Some(old)),
            Outcome::Unknown(Ambiguity::ExistingClient)
        );
        let undated = made(None, None);
        assert_eq!(
            answer(200, Some(undated.clone())),
            Outcome::Created(undated.client_id)
        );
        let reply = Reply::Answer {
            status: 201,
            client: Some(new),
        };
        assert_eq!(
            classify(&reply, |_| true),
            Outcome::Unknown(Ambiguity::ExistingClient)
        );
    }
}
