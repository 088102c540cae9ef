//! Whose a Secret of the object's name is, and what status records of client and attempt.

use super::seen::{AttemptId, Binding, Known, Owner, SecretSeen, Seen};
use crate::provident::types::ClientId;

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
pub fn take_up(secret: &SecretSeen) -> TakeUp {
    match secret {
        SecretSeen::Absent => TakeUp::Absent,
        SecretSeen::Present {
            owner: Owner::Former,
            ..
        } => TakeUp::Former,
        SecretSeen::Present {
            owner: Owner::Other,
            ..
        } => TakeUp::Stranger,
        SecretSeen::Present {
            binding: Binding::Valid(id),
            ..
        } => TakeUp::Client(id.clone()),
        SecretSeen::Present {
            binding: Binding::Missing,
            owner: Owner::None,
            ..
        } => TakeUp::Stranger,
        SecretSeen::Present { .. } => TakeUp::Mismatch,
    }
}

/// What status should record of client and attempt: the part of a report that correctness rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Records {
    /// The client; `None` leaves `status.clientId` as it is.
    pub client: Option<ClientId>,
    /// The attempt that stays open.
    pub attempt: Option<AttemptId>,
}

/// An attempt stays in status while its outcome is open. One that made nothing is dropped, and a retry that is dropped
/// puts the attempt it retried back, still held.
#[must_use]
pub fn records(seen: &Seen) -> Records {
    let client = super::client(seen);
    let attempt = match &seen.attempt {
        _ if client.is_some() => None,
        None => None,
        Some(attempt) => match attempt.known {
            Known::NotCreated(_) | Known::Unsent { .. } => attempt.retry_of.clone(),
            _ => Some(attempt.id.clone()),
        },
    };
    Records { client, attempt }
}
