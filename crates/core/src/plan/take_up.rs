//! Whose a Secret of the object's name is, and what status recorded_state of client and attempt.

use super::facts::{AttemptId, AttemptState, Binding, Facts, Owner, SecretFacts};
use crate::vendor::types::ClientId;

/// What may be done with a Secret of the object's name that nothing in status explains.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TakeUp {
    /// There is none.
    Absent,
    /// It carries this client of ours: finish from it.
    Client(ClientId),
    /// It looks like ours and its binding is not valid.
    Mismatch,
    /// A former object's: wait for its collection.
    Former,
    /// Somebody else's.
    Stranger,
}

/// The take-up rule. A Secret counts as ours by its controller owner or, restored or retained without one, by its binding.
#[must_use]
pub fn take_up(secret: &SecretFacts) -> TakeUp {
    match secret {
        SecretFacts::Absent => TakeUp::Absent,
        SecretFacts::Present {
            owner: Owner::Former,
            ..
        } => TakeUp::Former,
        SecretFacts::Present {
            owner: Owner::Other,
            ..
        } => TakeUp::Stranger,
        SecretFacts::Present {
            binding: Binding::Valid(id),
            ..
        } => TakeUp::Client(id.clone()),
        SecretFacts::Present {
            binding: Binding::Missing,
            owner: Owner::None,
            ..
        } => TakeUp::Stranger,
        SecretFacts::Present { .. } => TakeUp::Mismatch,
    }
}

/// What status should record of client and attempt: the part of a report that correctness rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordedState {
    /// The client; `None` leaves `status.clientId` as it is.
    pub client: Option<ClientId>,
    /// The attempt that stays open.
    pub attempt: Option<AttemptId>,
}

/// An attempt stays in status while its outcome is open. One that made nothing is dropped, and a retry that is dropped
/// puts the attempt it retried back, still held.
#[must_use]
pub fn recorded_state(facts: &Facts) -> RecordedState {
    let client = super::client(facts);
    let attempt = match &facts.attempt {
        _ if client.is_some() => None,
        None => None,
        Some(attempt) => match attempt.state {
            AttemptState::NotCreated(_) | AttemptState::Unsent { .. } => attempt.retry_of.clone(),
            _ => Some(attempt.id.clone()),
        },
    };
    RecordedState { client, attempt }
}
