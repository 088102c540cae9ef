//! What the operator did, as the reason of a Kubernetes event.

use strum::{Display, IntoStaticStr};

/// The reasons of events about actions. A change of the condition `Ready` has an event too, under its
/// [`Reason`](super::Reason). Like those, these names are API and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr)]
pub enum EventReason {
    /// The operator changed the client at the vendor to match the spec. The message names the fields.
    ClientUpdated,
    /// The operator adopted the existing client that `spec.adoption` names, or re-bound the object to its client.
    ClientAdopted,
    /// The operator deactivated the client at the vendor because the object is being deleted.
    ClientDeactivated,
    /// The object was deleted and a client may be active at the vendor: the outcome of its create was unknown, or the deletion
    /// orphaned its Secret (`--cascade=orphan`). The message says which. Warning.
    ClientReleased,
    /// The vendor replaced the client's secret, and the Secret holds the new one.
    SecretRotated,
    /// The Secret was deleted or changed, and the operator restored its content.
    SecretRepaired,
    /// A requested rotation did not happen. The message says why and whether the operator retries. Warning.
    RotationRefused,
    /// The operator restarted a workload of `spec.rolloutRestartTargets` because the Secret's content changed.
    WorkloadRestarted,
    /// A workload of `spec.rolloutRestartTargets` could not be restarted. Restart it, and grant the operator the right to do
    /// so. Warning.
    RestartDenied,
    /// A create whose outcome is unknown was allowed once more, by annotation or by `unknownOutcomePolicy`. The first client
    /// may be orphaned at the vendor. Warning.
    CreateRetried,
    /// A client was created after its object was deleted or had got another client; the operator deactivated it. Warning.
    OrphanedClientDeactivated,
}

impl EventReason {
    /// The reason as it is written in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the event is a warning: an action failed, or it left something for a person to check.
    #[must_use]
    pub fn is_warning(self) -> bool {
        match self {
            Self::RotationRefused
            | Self::RestartDenied
            | Self::CreateRetried
            | Self::ClientReleased
            | Self::OrphanedClientDeactivated => true,
            Self::ClientUpdated
            | Self::ClientAdopted
            | Self::ClientDeactivated
            | Self::SecretRotated
            | Self::SecretRepaired
            | Self::WorkloadRestarted => false,
        }
    }
}
