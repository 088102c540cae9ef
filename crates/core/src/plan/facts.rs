//! The facts a plan may rest on.

use std::fmt;

use super::diff::Field;
use super::rotation::Rotation;
use crate::api::Reason;
use crate::vendor::outcome::{Ambiguity, Refusal};
use crate::vendor::types::ClientId;

/// Identifies one attempt to create, as `status.createAttempt.id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub String);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything [`super::next`] may know of one object. Ages are facts here too (`AttemptState`), taken on the process's own
/// monotonic clock, so that no step depends on two hosts agreeing about the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is on the object.
    pub finalizer: bool,
    /// Status says `Ready=True` for this generation.
    pub ready: bool,
    /// Status says that the vendor rejected this generation: the same request is not sent again.
    pub rejected: bool,
    /// The scheduled verification is due.
    pub due: bool,
    /// `status.clientId`, held against its binding.
    pub record: RecordedClient,
    /// `status.createAttempt`, and what this process knows of it.
    pub attempt: Option<Attempt>,
    /// Value of the `retry-create` annotation.
    pub retry: Option<AttemptId>,
    /// The Secret of the object's name.
    pub secret: SecretFacts,
    /// Whether the vendor may be asked for this object.
    pub connection: ConnectionFacts,
    /// An unknown outcome has closed this connection for creates until a probe is answered.
    pub breaker_open: bool,
    /// Whether the connection lets the open attempt be made once more without a person.
    pub auto_retry: AutoRetry,
    /// The process is about to leave: what runs is finished, nothing is begun.
    pub stopping: bool,
    /// [`super::Step::Preflight`] passed in this pass.
    pub preflight: bool,
    /// What the vendor said in this pass.
    pub vendor: Vendor,
    /// Fields of which a PUT at this generation is known to have had no effect.
    pub not_applied: Vec<Field>,
    /// Whether there is an existing client to take over.
    pub adoption: AdoptionFact,
    /// Whether another object has the same client.
    pub conflict: Conflict,
    /// The Secret's content is another one than that of `status.secretRevision`, and workloads are to be restarted for it.
    pub restart: bool,
    /// Rotation of the secret.
    pub rotation: Rotation,
    /// The Secret was put right so often lately that somebody else must be writing it too.
    pub contested: bool,
    /// The definition of `OAuthClient` itself is being deleted, and every object with it.
    pub definition_going: bool,
}

/// Whether there is an existing client to take over; looked at while no client is recorded, or its Secret is not taken
/// over yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AdoptionFact {
    /// There is not.
    None,
    /// There is, and it may not be taken, with the message for the user.
    Refused(Reason, String),
    /// There is, and a secret is at hand that must equal the client's.
    Proof {
        /// The client.
        client: ClientId,
        /// The proof stands in the very Secret that is to carry the credentials, which is taken over with it.
        in_place: bool,
    },
    /// Asked for in this pass: its secret is the one at hand. In place also later, until the Secret is taken over.
    Proven {
        /// The client.
        client: ClientId,
        /// As above.
        in_place: bool,
    },
}

/// Another object without deletionTimestamp that is validly bound to the same client, as two adoptions at once may leave
/// it. The older one keeps the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// None.
    None,
    /// A younger one, which will find this one.
    WithYounger,
    /// An older one, which keeps the client.
    WithOlder,
}

/// `status.clientId`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordedClient {
    /// None.
    Empty,
    /// With a valid binding.
    Bound(ClientId),
    /// Without a valid binding: never used in a call.
    Unverified,
    /// The binding key is missing, so nothing can be told.
    KeyMissing,
}

/// `status.createAttempt`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The held attempt that this one tries again.
    pub retry_of: Option<AttemptId>,
    /// What this process knows of it.
    pub state: AttemptState,
}

/// What this process knows of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// Another process's, or an earlier run's, and it may still be under way.
    InProgress,
    /// Another process's, facts unchanged for so long that it cannot be under way any more.
    Abandoned,
    /// Ours, and provably not sent. `in_time` while its first byte can still leave soon after the claim.
    Unsent {
        /// Whether it may still be sent.
        in_time: bool,
    },
    /// Ours, known not to have made anything.
    NotCreated(Refusal),
    /// Ours, answered with this client.
    Created(ClientId),
    /// Ours, sent, and its outcome is not known.
    Unknown(Ambiguity),
}

/// Who is the Secret's controller owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// This very object, by uid.
    This,
    /// Nobody.
    None,
    /// An `OAuthClient` of this name with another uid: a former one, whose Secret is about to be collected.
    Former,
    /// Anything else.
    Other,
}

/// The binding annotation of a Secret, held against the clientId it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// No such annotation.
    Missing,
    /// Not made by this operator for this object.
    Invalid,
    /// Made for this object and this client.
    Valid(ClientId),
}

/// The Secret of the object's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretFacts {
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// Its controller owner.
        owner: Owner,
        /// Its binding.
        binding: Binding,
        /// Whether it holds what it should.
        content: Content,
    },
}

impl SecretFacts {
    /// Whether it holds what it should; none holds nothing.
    #[must_use]
    pub fn content(&self) -> Content {
        match self {
            Self::Absent => Content::Stale,
            Self::Present { content, .. } => *content,
        }
    }
}

/// Whether a Secret holds what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// Not state: changed since it was last looked at, and no credentials in hand to compare with.
    Unknown,
    /// As it should be: compared, or of the very version that was compared last.
    Current,
    /// Something of ours is missing or differs.
    Stale,
}

/// Whether the vendor may be asked for this object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionFacts {
    /// It may.
    Usable,
    /// The connection does not let this namespace or scope in. Deactivation is still allowed.
    Denied(String),
    /// Not found, not ready or suspended, with the message for the user.
    Unusable(Reason, String),
}

/// What `unknownOutcome: Retry` means for the open attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AutoRetry {
    /// Nothing: a person decides.
    No,
    /// It is tried again later: it may still come to an end.
    Early,
    /// It is tried again as soon as the vendor has answered a probe.
    Unprobed,
    /// It is tried again now.
    Due,
}

/// What the vendor said in this pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Nothing was asked.
    NotAsked,
    /// The client, and what of the spec it differs in.
    Found(Found),
    /// 404, over a connection that is proven.
    Missing,
    /// Confirmed as inactive, by us.
    Deactivated,
}

/// The vendor's client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Stated fields that differ.
    pub differs: Vec<Field>,
    /// A PUT was answered in this pass; `differs` is what is left after it.
    pub updated: bool,
    /// The answer carried the secret.
    pub credentials: bool,
    /// `isActive`.
    pub active: bool,
    /// There is an open rotation, and the secret is another one than before it.
    pub rotated: bool,
}
