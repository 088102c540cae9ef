//! Why a condition is as it is. Reasons are API: people alert on them, so names do not change.

use std::fmt;

/// Every reason of every condition, in the order of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// All is as declared. Nothing to do.
    Available,
    /// Not looked at yet, or work is under way. Wait; if it stays, look at the operator's log.
    Pending,
    /// `spec.connectionRef` names a connection that does not exist. Create it.
    ConnectionNotFound,
    /// The connection cannot be used now. Look at its own condition.
    ConnectionNotReady,
    /// No access rule of the connection allows this namespace these scopes. Ask its owner for a rule.
    AccessDenied,
    /// The Secret's name belongs to somebody else: remove that Secret, or declare the object anew under another one. Or
    /// somebody else changes it each time it is put right: stop that writer.
    SecretConflict,
    /// The Secret may not be written: rights, a quota or an admission policy. Lift what the message names.
    SecretWriteDenied,
    /// The Secret is marked immutable and holds something else. Delete it.
    SecretImmutable,
    /// A field holds what this version of the operator cannot read. Correct it, or run the version that the definition is of.
    InvalidObject,
    /// The vendor refuses the spec. Change the field that the message names.
    SpecRejected,
    /// Whether the vendor made the client is not known. Look at the vendor, then adopt it or allow one more try.
    CreateOutcomeUnknown,
    /// The vendor answered a create with a client that is not new. Report it to the vendor, then allow one more try.
    ExistingClientReturned,
    /// The client that `spec.adoption` names may not be taken over. Correct what the message names.
    AdoptionRejected,
    /// A clientId was found that this operator did not record for this object. Remove what holds it.
    BindingMismatch,
    /// The key of the bindings is lost. Restore its Secret from the backup.
    BindingKeyMissing,
    /// Another object owns this client. Delete one of the two.
    ClientInUse,
    /// The vendor does not know the client any more. Delete this object and declare it anew.
    ClientMissing,
    /// The client is inactive at the vendor and the spec is silent. Set `spec.isActive: true` to activate it.
    DeactivatedAtVendor,
    /// The vendor's client differs and `driftPolicy` is `Report`. Change the spec, or set `Correct`.
    Drifted,
    /// The vendor accepted a change without effect. Change the field that the message names.
    UpdateNotApplied,
    /// A workload of `spec.rolloutRestartTargets` could not be restarted; an event only. Restart it by hand, and give the
    /// operator the right to.
    RestartDenied,
    /// The vendor does not answer or answers with a server error. Ends by itself.
    VendorUnavailable,
    /// The vendor limits the rate. Ends by itself; lower `spec.requestsPerSecond` of the connection if it returns.
    VendorThrottled,
    /// `spec.suspend` is true, here or at the connection. Set it to false.
    Suspended,
    /// The object is being deleted and the client is being disabled. Ends by itself, or as the message says.
    Deactivating,
    /// Connection: the vendor refuses the credential. Put a valid one into the Secret.
    CredentialsRejected,
    /// Connection: the Secret or its key does not exist. Create it in the operator's namespace.
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
}

impl Reason {
    /// All of them, each once.
    pub const ALL: [Self; 32] = [
        Self::Available,
        Self::Pending,
        Self::ConnectionNotFound,
        Self::ConnectionNotReady,
        Self::AccessDenied,
        Self::SecretConflict,
        Self::SecretWriteDenied,
        Self::SecretImmutable,
        Self::InvalidObject,
        Self::SpecRejected,
        Self::CreateOutcomeUnknown,
        Self::ExistingClientReturned,
        Self::AdoptionRejected,
        Self::BindingMismatch,
        Self::BindingKeyMissing,
        Self::ClientInUse,
        Self::ClientMissing,
        Self::DeactivatedAtVendor,
        Self::Drifted,
        Self::UpdateNotApplied,
        Self::RestartDenied,
        Self::VendorUnavailable,
        Self::VendorThrottled,
        Self::Suspended,
        Self::Deactivating,
        Self::CredentialsRejected,
        Self::CredentialsNotFound,
        Self::HostNotAllowed,
        Self::CaNotFound,
        Self::CaInvalid,
        Self::Unverified,
        Self::UnexpectedResponse,
    ];

    /// The reason as it is written in a condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Pending => "Pending",
            Self::ConnectionNotFound => "ConnectionNotFound",
            Self::ConnectionNotReady => "ConnectionNotReady",
            Self::AccessDenied => "AccessDenied",
            Self::SecretConflict => "SecretConflict",
            Self::SecretWriteDenied => "SecretWriteDenied",
            Self::SecretImmutable => "SecretImmutable",
            Self::InvalidObject => "InvalidObject",
            Self::SpecRejected => "SpecRejected",
            Self::CreateOutcomeUnknown => "CreateOutcomeUnknown",
            Self::ExistingClientReturned => "ExistingClientReturned",
            Self::AdoptionRejected => "AdoptionRejected",
            Self::BindingMismatch => "BindingMismatch",
            Self::BindingKeyMissing => "BindingKeyMissing",
            Self::ClientInUse => "ClientInUse",
            Self::ClientMissing => "ClientMissing",
            Self::DeactivatedAtVendor => "DeactivatedAtVendor",
            Self::Drifted => "Drifted",
            Self::UpdateNotApplied => "UpdateNotApplied",
            Self::RestartDenied => "RestartDenied",
            Self::VendorUnavailable => "VendorUnavailable",
            Self::VendorThrottled => "VendorThrottled",
            Self::Suspended => "Suspended",
            Self::Deactivating => "Deactivating",
            Self::CredentialsRejected => "CredentialsRejected",
            Self::CredentialsNotFound => "CredentialsNotFound",
            Self::HostNotAllowed => "HostNotAllowed",
            Self::CaNotFound => "CaNotFound",
            Self::CaInvalid => "CaInvalid",
            Self::Unverified => "Unverified",
            Self::UnexpectedResponse => "UnexpectedResponse",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_has_each_reason_once_under_its_own_name() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.to_string(), format!("{reason:?}"));
        }
    }
}
