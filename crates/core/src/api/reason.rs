//! Why a condition is as it is. Reasons are API: people alert on them, so names do not change.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Every reason of every condition, in the order of the documentation. A variant's name is the text in the condition.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
pub enum Reason {
    /// Everything is as declared. Nothing to do.
    Available,
    /// Not reconciled yet, or work is in progress. Wait; if it stays, check the operator's log.
    Pending,
    /// `spec.connectionRef` names a connection that does not exist. Create it.
    ConnectionNotFound,
    /// The connection cannot be used now. Check its `Ready` condition.
    ConnectionNotReady,
    /// No access rule of the connection allows this namespace these scopes. Ask the connection's owner for a rule.
    AccessDenied,
    /// The Secret's name is in use: delete that Secret, or recreate this object with another `spec.secret.name`. Or another
    /// writer keeps overwriting the Secret: stop that writer.
    SecretConflict,
    /// The Secret cannot be written because of RBAC, a quota or an admission policy. Remove the obstacle that the message
    /// names.
    SecretWriteDenied,
    /// The Secret is marked immutable and its content is outdated. Delete it.
    SecretImmutable,
    /// A field has a value that the operator cannot use. Correct the field that the message names; if the CRD is newer than the
    /// operator, upgrade the operator.
    InvalidObject,
    /// The vendor rejects the spec. Change the field that the message names.
    SpecRejected,
    /// It is unknown whether the vendor created the client. Check at the vendor, then adopt the client or allow a retry.
    CreateOutcomeUnknown,
    /// The vendor answered a create with a client that existed before. Report it to the vendor, then allow a retry.
    ExistingClientReturned,
    /// The client that `spec.adoption` names cannot be adopted. Correct what the message names.
    AdoptionRejected,
    /// A clientId was found that this operator did not record for this object. Remove it where the message says.
    BindingMismatch,
    /// The operator's binding key is missing. Restore its Secret from the backup.
    BindingKeyMissing,
    /// Another object owns this client. Delete one of the two.
    ClientInUse,
    /// The client no longer exists at the vendor. Delete this object and recreate it.
    ClientMissing,
    /// The client is inactive at the vendor and the spec does not state `isActive`. Set `spec.isActive: true` to activate it.
    DeactivatedAtVendor,
    /// The vendor's client differs from the spec and `driftPolicy` is `Report`. Change the spec, or set `Correct`.
    Drifted,
    /// The vendor accepted an update but did not apply it. Change or remove the fields that the message names.
    UpdateNotApplied,
    /// The vendor accepted a rotation but still returns the former secret. Request another rotation, or contact the vendor.
    RotationNotApplied,
    /// A workload of `spec.rolloutRestartTargets` could not be restarted; used by an event only. Restart it, and grant the
    /// operator the right to do so.
    RestartDenied,
    /// The vendor does not answer, or answers with a server error. The operator retries automatically.
    VendorUnavailable,
    /// The vendor limits the request rate. The operator retries automatically; lower `spec.requestsPerSecond` of the
    /// connection if this returns.
    VendorThrottled,
    /// `spec.suspend` is true on this object or on its connection. Set it to false.
    Suspended,
    /// The object is being deleted and its client is being deactivated. Wait, or do what the message says.
    Deactivating,
    /// Connection: the vendor rejects the credentials. Put valid ones into the Secret.
    CredentialsRejected,
    /// Connection: the Secret or its key does not exist. Create it in the namespace that the message names.
    CredentialsNotFound,
    /// Connection: the host is not on the operator's allow list. Start the operator with `--allowed-host`.
    HostNotAllowed,
    /// Connection: the `ConfigMap` of `spec.caConfigMapRef`, or its key, does not exist. Create it.
    CaNotFound,
    /// Connection: the `ConfigMap` of `spec.caConfigMapRef` holds no readable PEM certificates. Correct its content.
    CaInvalid,
    /// Connection: nothing has proven yet that the vendor's API responds and accepts the credential. Check `spec.baseUrl` if
    /// it stays; the first client that is created or found proves it.
    Unverified,
    /// Connection: what responds at `spec.baseUrl` does not behave as the vendor's API. Correct `spec.baseUrl`.
    UnexpectedResponse,
    /// Connection: it is being deleted, and clients still need it. Delete the clients that the message names.
    InUse,
}

impl Reason {
    /// All of them, each once.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The reason as it is written in a condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether only a person can end it, so that the condition `Stalled` is set.
    #[must_use]
    pub fn needs_action(self) -> bool {
        match self {
            Self::AccessDenied
            | Self::SecretConflict
            | Self::SecretImmutable
            | Self::InvalidObject
            | Self::SpecRejected
            | Self::CreateOutcomeUnknown
            | Self::ExistingClientReturned
            | Self::AdoptionRejected
            | Self::BindingMismatch
            | Self::BindingKeyMissing
            | Self::ClientInUse
            | Self::ClientMissing
            | Self::DeactivatedAtVendor
            | Self::UpdateNotApplied
            | Self::RotationNotApplied => true,
            // The object works, or the operator retries automatically; a connection has no condition Stalled.
            Self::Available
            | Self::Pending
            | Self::ConnectionNotFound
            | Self::ConnectionNotReady
            | Self::SecretWriteDenied
            | Self::Drifted
            | Self::RestartDenied
            | Self::VendorUnavailable
            | Self::VendorThrottled
            | Self::Suspended
            | Self::Deactivating
            | Self::CredentialsRejected
            | Self::CredentialsNotFound
            | Self::HostNotAllowed
            | Self::CaNotFound
            | Self::CaInvalid
            | Self::Unverified
            | Self::UnexpectedResponse
            | Self::InUse => false,
        }
    }
}
