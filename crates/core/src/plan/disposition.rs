//! What becomes of a client that the vendor created for an attempt of this process, while status does not record it yet.

use super::facts::AttemptId;
use crate::vendor::types::ClientId;

/// The object that the client was created for, as an uncached read shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectState {
    /// Gone, or replaced by another object of that name.
    Gone,
    /// There, with the same uid.
    There {
        /// `status.clientId`.
        client: Option<ClientId>,
        /// `status.createAttempt.id`.
        attempt: Option<AttemptId>,
        /// The client that its Secret is validly bound to.
        secret: Option<ClientId>,
    },
}

/// What to do with the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// The object records it already.
    AlreadyStored,
    /// Store it.
    Store,
    /// Too late: the object is gone, or has another client or attempt. Overwrite nothing, and deactivate the client.
    Orphaned,
    /// Too late, but an existing object or its Secret has the client: leave it alone.
    HeldElsewhere,
}

/// Decides what becomes of the client. `held` says whether an object without deletionTimestamp records it, or a Secret that
/// has no controller owner or such an object as owner.
#[must_use]
pub fn disposition(
    attempt: &AttemptId,
    client: &ClientId,
    object: &ObjectState,
    held: bool,
) -> Disposition {
    let orphaned = if held {
        Disposition::HeldElsewhere
    } else {
        Disposition::Orphaned
    };
    match object {
        ObjectState::Gone => orphaned,
        ObjectState::There {
            client: Some(recorded),
            ..
        } if recorded == client => Disposition::AlreadyStored,
        ObjectState::There {
            client: Some(_), ..
        } => orphaned,
        ObjectState::There {
            secret: Some(bound),
            ..
        } if bound != client => orphaned,
        ObjectState::There {
            attempt: Some(open),
            ..
        } if open != attempt => orphaned,
        ObjectState::There { .. } => Disposition::Store,
    }
}
