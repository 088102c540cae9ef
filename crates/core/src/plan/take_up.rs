//! Which client an existing Secret belongs to, and what status records of client and attempt.

use super::facts::{AttemptId, AttemptState, Binding, Facts, Owner, SecretFacts};
use super::rules::client;
use crate::vendor::types::ClientId;

/// What a Secret of the object's name means for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TakeUp {
    /// There is no Secret.
    Absent,
    /// It carries this client, validly bound to this object.
    Client(ClientId),
    /// It is this object's, but its binding is not valid.
    Mismatch,
    /// It carries this client, bound to an object of this name in a former namespace of this name. What it holds must prove
    /// the right to the client.
    Unproven(ClientId),
    /// It belongs to a former object of this name: wait for the garbage collector.
    Former,
    /// It belongs to another owner.
    Stranger,
}

/// Which client an existing Secret belongs to. A Secret counts as ours by its controller owner or, restored or retained
/// without one, by its binding.
#[must_use]
pub fn take_up(secret: &SecretFacts) -> TakeUp {
    match secret {
        SecretFacts::Unread | SecretFacts::Absent => TakeUp::Absent,
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
            binding: Binding::FormerNamespace(id),
            ..
        } => TakeUp::Unproven(id.clone()),
        SecretFacts::Present {
            binding: Binding::Missing,
            owner: Owner::None,
            ..
        } => TakeUp::Stranger,
        SecretFacts::Present {
            owner: Owner::This | Owner::None,
            binding: Binding::Missing | Binding::Invalid,
            ..
        } => TakeUp::Mismatch,
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

/// An attempt stays in status while its outcome is open. An attempt that created nothing is dropped, and dropping a retry
/// puts the retried attempt back, still held.
#[must_use]
pub fn recorded_state(facts: &Facts) -> RecordedState {
    let client = client(facts);
    let attempt = match &facts.attempt {
        _ if client.is_some() => None,
        None => None,
        Some(attempt) => match attempt.state {
            AttemptState::NotCreated(_) | AttemptState::Unsent { .. } => attempt.retry_of.clone(),
            AttemptState::InProgress
            | AttemptState::Abandoned
            | AttemptState::Created(_)
            | AttemptState::Unknown(_) => Some(attempt.id.clone()),
        },
    };
    RecordedState { client, attempt }
}
