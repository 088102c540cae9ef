//! Everything that the operator can do for an object.

use super::diff::Field;
use super::facts::AttemptId;
use super::rotation::Token;
use crate::vendor::types::ClientId;

/// One thing to do. Each is at most one request that has an effect; [`Step::ReadSecret`] and [`Step::Preflight`] have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantNames)]
pub enum Step {
    /// Read the Secret, and what `spec.adoption` names.
    ReadSecret,
    /// Prove that a create or a rotation could be stored: a permit of the connection's limiter, and a server-side dry run
    /// of the very Secret write.
    Preflight,
    /// Put our finalizer on the object.
    AddFinalizer,
    /// Write `status.createAttempt` with a new id. Only the process that wrote it may send the create.
    Claim {
        /// The held attempt that this one retries.
        retry_of: Option<AttemptId>,
    },
    /// Send the create, once.
    Create,
    /// GET the client to adopt, and compare its secret with the one that proves the right to it.
    Adopt(ClientId),
    /// GET the client.
    Verify(ClientId),
    /// PUT these fields, and no others.
    Update(ClientId, Vec<Field>),
    /// Write the Secret from the credentials at hand.
    WriteSecret(ClientId),
    /// Restart the workloads that use the Secret, whose content has changed.
    RestartWorkloads,
    /// Write `status.rotation`. Only the process that wrote it may send the rotation.
    RecordRotation(Token),
    /// Send the rotation, once. A GET shows afterwards whether it happened.
    Rotate(ClientId),
    /// PUT `isActive: false`.
    Deactivate(ClientId),
    /// Remove our owner reference from the Secret, so that it outlives the object.
    DisownSecret,
    /// Remove our finalizer from the object.
    Release,
}

/// What kind of effect a step has. Exhaustive, so that a new step must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: it only reads.
    None,
    /// It writes to Kubernetes.
    Kubernetes,
    /// It reads from the vendor.
    VendorRead,
    /// It changes something at the vendor.
    VendorWrite,
}

impl Step {
    /// What kind of effect it has.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Self::ReadSecret | Self::Preflight => Effect::None,
            Self::AddFinalizer
            | Self::Claim { .. }
            | Self::WriteSecret(_)
            | Self::RestartWorkloads
            | Self::RecordRotation(_)
            | Self::DisownSecret
            | Self::Release => Effect::Kubernetes,
            Self::Adopt(_) | Self::Verify(_) => Effect::VendorRead,
            Self::Create | Self::Update(..) | Self::Rotate(_) | Self::Deactivate(_) => {
                Effect::VendorWrite
            }
        }
    }

    pub(super) fn retry_of(&self) -> Option<&AttemptId> {
        match self {
            Self::Claim { retry_of } => retry_of.as_ref(),
            _ => None,
        }
    }

    pub(super) fn rotation_token(&self) -> Option<&Token> {
        match self {
            Self::RecordRotation(token) => Some(token),
            _ => None,
        }
    }

    pub(super) fn is_update(&self) -> bool {
        matches!(self, Self::Update(..))
    }

    pub(super) fn is_rotation(&self) -> bool {
        matches!(self, Self::Rotate(_))
    }
}
