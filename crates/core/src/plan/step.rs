//! The whole vocabulary of the operator.

use super::diff::Field;
use super::facts::AttemptId;
use super::rotation::Token;
use crate::vendor::types::ClientId;

/// One thing to do. Each is one request that has an effect, but [`Step::Preflight`], which has none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Prove that a create or a rotation could be stored: a permit of the connection's limiter, and a server-side dry run
    /// of the very Secret write.
    Preflight,
    /// Put our finalizer on the object.
    AddFinalizer,
    /// Write `status.createAttempt` with a new id: only who has written it may send the create.
    Claim {
        /// The held attempt that a person chose to try again.
        retry_of: Option<AttemptId>,
    },
    /// Send the create, once.
    Create,
    /// GET the client that `spec.adoption` names, and compare its secret with the one that proves that it may be taken.
    Adopt(ClientId),
    /// GET the client.
    Verify(ClientId),
    /// PUT these fields, and no others.
    Update(ClientId, Vec<Field>),
    /// Write the Secret from the credentials in hand.
    WriteSecret(ClientId),
    /// Restart the workloads that use the Secret, whose content has changed.
    RestartWorkloads,
    /// Write `status.rotation`: only who has written it may send the rotation.
    RecordRotation(Token),
    /// Send the rotation, once. GET tells afterwards whether it happened.
    Rotate(ClientId),
    /// PUT `isActive: false`.
    Deactivate(ClientId),
    /// Take our owner reference off the Secret, so that it outlives the object.
    DisownSecret,
    /// Take our finalizer off the object.
    Release,
}
