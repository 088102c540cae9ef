//! Where an answer that this process has read belongs by now.

use super::seen::AttemptId;
use crate::provident::types::ClientId;

/// The object an answer was asked for, as an uncached read shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
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
pub enum Fate {
    /// The object records it already.
    Stored,
    /// It is to be stored.
    Store,
    /// Too late: the object is gone, or goes another way. Nothing is overwritten; its client is to be deactivated.
    Late,
    /// Too late, but somebody living records the client: it is left alone.
    Kept,
}

/// Decides an answer's fate. `kept` tells whether an object without deletionTimestamp records the client, or a Secret
/// that has no controller owner or such an object as owner.
#[must_use]
pub fn fate(attempt: &AttemptId, client: &ClientId, standing: &Standing, kept: bool) -> Fate {
    let late = if kept { Fate::Kept } else { Fate::Late };
    match standing {
        Standing::Gone => late,
        Standing::There {
            client: Some(recorded),
            ..
        } if recorded == client => Fate::Stored,
        Standing::There {
            client: Some(_), ..
        } => late,
        Standing::There {
            secret: Some(bound),
            ..
        } if bound != client => late,
        Standing::There {
            attempt: Some(open),
            ..
        } if open != attempt => late,
        Standing::There { .. } => Fate::Store,
    }
}
