//! Where an answer that this process has read belongs by now.

use super::facts::AttemptId;
use crate::vendor::types::ClientId;

/// The object an answer was asked for, as an uncached read shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectState {
    /// Gone, or another object of that name.
    Gone,
    /// There, with the same uid.
    There {
        /// `status.clientId`.
        client: Option<ClientId>,
        /// `status.createAttempt.id`.
        attempt: Option<AttemptId>,
        /// The client its Secret is validly bound to.
        secret: Option<ClientId>,
    },
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The object recorded_state it already.
    AlreadyStored,
    /// It is to be stored.
    Store,
    /// Too late: the object is gone, or goes another way. Nothing is overwritten; its client is to be deactivated.
    Orphaned,
    /// Too late, but somebody living recorded_state the client: it is left alone.
    HeldElsewhere,
}

/// Decides an answer's disposition. `kept` tells whether an object without deletionTimestamp recorded_state the client, or a Secret
/// that has no controller owner or such an object as owner.
#[must_use]
pub fn disposition(
    attempt: &AttemptId,
    client: &ClientId,
    standing: &ObjectState,
    kept: bool,
) -> Disposition {
    let late = if kept {
        Disposition::HeldElsewhere
    } else {
        Disposition::Orphaned
    };
    match standing {
        ObjectState::Gone => late,
        ObjectState::There {
            client: Some(recorded),
            ..
        } if recorded == client => Disposition::AlreadyStored,
        ObjectState::There {
            client: Some(_), ..
        } => late,
        ObjectState::There {
            secret: Some(bound),
            ..
        } if bound != client => late,
        ObjectState::There {
            attempt: Some(open),
            ..
        } if open != attempt => late,
        ObjectState::There { .. } => Disposition::Store,
    }
}
