//! What a decision may rest on: the facts of one object, gathered once at the start of a reconcile.

use std::fmt;

use super::blocked::Blocked;
use super::diff::Field;
use super::rotation::Rotation;
use crate::api::Reason;
use crate::vendor::outcome::{Ambiguity, Refusal};
use crate::vendor::types::ClientId;

/// Identifies one attempt to create, as `status.createAttempt.id` does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub String);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything [`super::next`] may know of one object. [`Facts::apply`] is the only function that changes it after a step.
///
/// Ages are facts too ([`AttemptState`]), measured on the process's own monotonic clock, so that no step depends on two
/// hosts agreeing about the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is on the object.
    pub finalizer: bool,
    /// Status says `Ready=True` for this generation.
    pub ready: bool,
    /// Status says `Ready=True`, for whichever generation.
    pub was_ready: bool,
    /// Status says that the vendor rejected this generation, so the same request is not sent again.
    pub rejected: bool,
    /// A verification is due, by schedule or on request.
    pub due: bool,
    /// A requested verification has not happened yet.
    pub verification_requested: bool,
    /// `status.clientId`, checked against its binding.
    pub record: RecordedClient,
    /// `status.createAttempt`, and what this process knows of it.
    pub attempt: Option<Attempt>,
    /// The attempt that the `retry-create` annotation names.
    pub retry: Option<AttemptId>,
    /// The Secret that holds, or will hold, the credentials.
    pub secret: SecretFacts,
    /// Whether vendor requests are allowed for this object.
    pub connection: ConnectionFacts,
    /// An unknown outcome stopped creates over this connection until a probe is answered.
    pub breaker_open: bool,
    /// Whether the connection's policy retries the open attempt.
    pub auto_retry: AutoRetry,
    /// The process is shutting down or lost its lease: it finishes running work and starts nothing.
    pub stopping: bool,
    /// [`super::Step::Preflight`] passed in this reconcile.
    pub preflight: bool,
    /// What the vendor last answered in this reconcile.
    pub vendor: Vendor,
    /// The vendor accepted an update in this reconcile.
    pub updated: bool,
    /// Fields that an update of this generation did not change (`status.fieldsNotApplied`).
    pub not_applied: Vec<Field>,
    /// Whether there is an existing client to adopt.
    pub adoption: AdoptionFact,
    /// Whether another object has the same client.
    pub conflict: Conflict,
    /// The Secret's content differs from that of `status.secretRevision`, and workloads must restart for it.
    pub restart: bool,
    /// Rotation of the client's secret.
    pub rotation: Rotation,
    /// The Secret was repaired so often lately that another writer must be overwriting it.
    pub contested: bool,
    /// The `CustomResourceDefinition` of `OAuthClient` is being deleted, and every object with it.
    pub crd_terminating: bool,
    /// The last step could not be carried out. The reconcile ends and reports this.
    pub blocked: Option<Blocked>,
}

/// Whether there is an existing client to adopt. Determined while no client is recorded, or while its Secret is not taken
/// over yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AdoptionFact {
    /// There is none.
    None,
    /// There is one, but it must not be adopted; with the message for the user.
    Refused(Reason, String),
    /// There is one, and the operator read a secret that must equal the client's.
    Proof {
        /// The client.
        client: ClientId,
        /// The proof is in the very Secret that is to hold the credentials, which is taken over with it.
        in_place: bool,
    },
    /// The vendor returned the client in this reconcile and its secret equals the proof. An in-place adoption keeps this
    /// state until the Secret is taken over.
    Proven {
        /// The client.
        client: ClientId,
        /// As above.
        in_place: bool,
    },
}

/// Another object without deletionTimestamp that is validly bound to the same client; two concurrent adoptions can cause
/// this. The older object keeps the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// No other object.
    None,
    /// A younger object, which gives way to this one.
    WithYounger,
    /// An older object, which keeps the client.
    WithOlder,
}

/// `status.clientId`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordedClient {
    /// None.
    Empty,
    /// With a valid binding.
    Bound(ClientId),
    /// Without a valid binding: never used in a request.
    Unverified,
    /// The binding key is missing, so no binding can be checked.
    KeyMissing,
}

/// `status.createAttempt`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The held attempt that this one retries.
    pub retry_of: Option<AttemptId>,
    /// What this process knows of it.
    pub state: AttemptState,
}

/// What this process knows of a create attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// Started by another process or before a restart, and possibly still running.
    InProgress,
    /// Started by another process or before a restart, and unchanged for so long that it cannot be running any more. Its
    /// outcome is unknown.
    Abandoned,
    /// Started by this process, and certainly not sent. `in_time` while the request may still be sent.
    Unsent {
        /// Whether the claim is recent enough to send the request.
        in_time: bool,
    },
    /// Started by this process, and known not to have created anything.
    NotCreated(Refusal),
    /// Started by this process, and answered with this client.
    Created(ClientId),
    /// Started by this process and sent; the outcome is unknown.
    Unknown(Ambiguity),
}

impl AttemptState {
    /// Whether the attempt has ended without anybody knowing its outcome: the hold.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Abandoned | Self::Unknown(_) => true,
            Self::InProgress | Self::Unsent { .. } | Self::NotCreated(_) | Self::Created(_) => {
                false
            }
        }
    }
}

/// The Secret's controller owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// This very object, by uid.
    This,
    /// No controller.
    None,
    /// An `OAuthClient` of this name with another uid. The garbage collector is about to delete its Secret.
    Former,
    /// Any other object.
    Other,
}

/// The binding annotation of a Secret, checked against the clientId it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// No such annotation.
    Missing,
    /// Not written by this operator for this object.
    Invalid,
    /// Written for this object and this client.
    Valid(ClientId),
    /// Written for this object and this client in a namespace of the same name with another uid. It counts once the Secret
    /// is seen to hold the client's current secret.
    FormerNamespace(ClientId),
}

/// The Secret that holds, or will hold, the credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretFacts {
    /// Not read yet. Only the preflight may run then, since its dry run would meet a Secret that exists.
    Unread,
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// Its controller owner.
        owner: Owner,
        /// Its binding.
        binding: Binding,
        /// Whether it holds the right content.
        content: Content,
    },
}

impl SecretFacts {
    /// Whether it holds the right content; a Secret that does not exist holds nothing.
    #[must_use]
    pub fn content(&self) -> Content {
        match self {
            Self::Unread => Content::Unknown,
            Self::Absent => Content::Stale,
            Self::Present { content, .. } => *content,
        }
    }

    /// The same Secret with another assessment of its content.
    #[must_use]
    pub fn with_content(self, content: Content) -> Self {
        match self {
            Self::Unread | Self::Absent => self,
            Self::Present { owner, binding, .. } => Self::Present {
                owner,
                binding,
                content,
            },
        }
    }
}

/// Whether a Secret holds the right content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Unknown: the Secret changed since the last comparison, and there are no credentials at hand to compare with.
    Unknown,
    /// Right: compared, or of the same resourceVersion as the last comparison.
    Current,
    /// Something that the operator manages is missing or differs.
    Stale,
}

/// Whether vendor requests are allowed for this object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionFacts {
    /// Allowed.
    Usable,
    /// The connection's access rules do not allow this namespace or scope. Deactivation is still allowed.
    Denied(String),
    /// Not found, not ready or suspended; with the message for the user.
    Unusable(Reason, String),
}

/// What `unknownOutcomePolicy: Retry` means for the open attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoRetry {
    /// No automatic retry: a person decides.
    No,
    /// Retried later: the attempt may still be running.
    Early,
    /// Retried as soon as the vendor answers a probe.
    Unprobed,
    /// Retried now.
    Due,
}

/// What the vendor answered in this reconcile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Not asked.
    NotAsked,
    /// The client.
    Found(Found),
    /// 404, over a connection whose account is verified.
    Missing,
    /// Deactivated by us, and confirmed.
    Deactivated,
}

/// The vendor's client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Stated fields that differ.
    pub differs: Vec<Field>,
    /// The answer contained the client's secret.
    pub credentials: bool,
    /// `isActive`.
    pub active: bool,
    /// There is an open rotation, and the secret differs from the one before it.
    pub rotated: bool,
}
