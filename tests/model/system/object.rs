//! The object and its Secret, as the API server stores them.

use provident_core::vendor::outcome::Ambiguity;

use super::rotation::{Record, Token};
use super::world::{AttemptNo, ClientNo, SecretNo, Uid};

/// An `OAuthClient`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// `metadata.uid`
    pub uid: Uid,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalizer: bool,
    /// The annotation `retry-create`.
    pub retry: Option<AttemptNo>,
    /// What the tenant declares.
    pub spec: Spec,
    /// `status.clientId`
    pub client: Option<ClientNo>,
    /// `status.bindingMAC` is valid for it.
    pub bound: bool,
    /// `status.createAttempt`
    pub attempt: Option<Claim>,
    /// The `Ready` condition of this generation.
    pub shown: Shown,
    /// The operator has reported on it: `observedGeneration` is not -1.
    pub observed: bool,
    /// `status.fieldsNotApplied` names `isActive` for this generation.
    pub not_applied: bool,
    /// `status.secretHash`, as the number of the secret that it was computed from.
    pub stored: Option<SecretNo>,
    /// The annotation `rotate`.
    pub token: Option<Token>,
    /// `status.lastHandledRotate`
    pub handled: Option<Token>,
    /// The schedule requests a rotation.
    pub due: bool,
    /// `status.rotation`
    pub rotation: Option<Record>,
}

impl Object {
    /// Just declared: no finalizer, no status.
    pub fn new(uid: Uid, token: Option<Token>) -> Self {
        Self {
            uid,
            deleting: false,
            finalizer: false,
            retry: None,
            spec: Spec {
                retain: false,
                suspend: false,
                active: None,
                adoption: None,
            },
            client: None,
            bound: false,
            attempt: None,
            shown: Shown::Pending,
            observed: false,
            not_applied: false,
            stored: None,
            token,
            handled: None,
            due: false,
            rotation: None,
        }
    }

    /// The same object with the status of a new one.
    pub fn without_status(self) -> Self {
        Self {
            deleting: self.deleting,
            finalizer: self.finalizer,
            retry: self.retry,
            spec: self.spec,
            due: self.due,
            ..Self::new(self.uid, self.token)
        }
    }

    /// Whether `other` is this object with the same `metadata.generation`: an edit or a deletion changes it.
    pub fn same_generation(&self, other: &Self) -> bool {
        (self.uid, self.spec, self.deleting) == (other.uid, other.spec, other.deleting)
    }
}

/// `status.createAttempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// `id`
    pub id: AttemptNo,
    /// `retryOf`
    pub retry_of: Option<AttemptNo>,
    /// `outcome`
    pub outcome: Option<Ambiguity>,
}

/// The part of the spec that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// `deletionPolicy: Retain`
    pub retain: bool,
    /// `suspend: true`
    pub suspend: bool,
    /// `isActive`, which represents every field that can drift.
    pub active: Option<bool>,
    /// `adoption`
    pub adoption: Option<Proof>,
}

/// What `spec.adoption` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The client created by hand, and another Secret with its current secret.
    Right,
    /// The client created by hand, and the object's own Secret.
    InPlace,
    /// The foreign client, and a Secret with a wrong value.
    Wrong,
    /// The foreign client, and a Secret with its leaked secret.
    Leaked,
}

/// What a person reads in the `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Nothing for this generation yet.
    Pending,
    /// `Ready=True`
    Ready,
    /// `CreateOutcomeUnknown` or `ExistingClientReturned`: a person must decide.
    Held,
    /// `SpecRejected`: waits for an edit.
    Rejected,
    /// Reason `Pending`: the operator waits for something that ends without a person.
    Waiting,
    /// Any other reason.
    NotReady,
}

/// The Secret of the object's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    /// Written by the operator.
    Ours {
        /// The controller owner's uid.
        owner: Option<Uid>,
        /// The client whose credentials it holds.
        client: ClientNo,
        /// The number of the secret in it.
        no: SecretNo,
        /// Its binding was made with the current key.
        bound: bool,
        /// `status.secretResourceVersion` names this version.
        verified: bool,
    },
    /// Written by a tenant: a foreign clientId with an invalid binding.
    Forged {
        /// The controller owner's uid.
        owner: Option<Uid>,
    },
    /// Written by the tenant, whose pods mount it: the credentials of the client created by hand.
    Handmade(SecretNo),
    /// Controlled by another object.
    Stranger,
}

impl Secret {
    /// The controller owner's uid, if the owner is an `OAuthClient`.
    pub fn owner(self) -> Option<Uid> {
        match self {
            Self::Ours { owner, .. } | Self::Forged { owner } => owner,
            Self::Handmade(_) | Self::Stranger => None,
        }
    }

    /// The same Secret without an owner.
    pub fn disowned(self) -> Self {
        match self {
            Self::Ours {
                client,
                no,
                bound,
                verified,
                ..
            } => Self::Ours {
                owner: None,
                client,
                no,
                bound,
                verified,
            },
            Self::Forged { .. } => Self::Forged { owner: None },
            Self::Handmade(_) | Self::Stranger => self,
        }
    }
}
