//! What the processes act on: the API server with one object and its Secret, and the vendor.
//!
//! Versions. A real write carries the `resourceVersion` of the view it was computed from, and is refused if the object
//! has changed since. Only equality matters, so a view carries `current` in its place: every write by somebody else
//! clears it. That keeps states equal which differ only in how often something was written.

use std::collections::BTreeSet;

use super::budget::Budget;
use super::process::Process;
use super::properties::{Broken, Tally};
use super::rotation::{Pending, Rotating, Token};
use super::start::Start;

/// `metadata.uid`. The name is always the same one.
pub type Uid = u8;
/// `status.createAttempt.id`: random in truth, so never the same twice.
pub type AttemptNo = u8;
/// A clientId: its place in [`World::clients`].
pub type ClientNo = u8;
/// A client's secret: how often it had been rotated before.
pub type SecretNo = u8;

/// The client of an object in another tenant's namespace. Whoever makes the operator use it gets a foreign secret.
pub const FOREIGN: ClientNo = 0;
/// A client that a person made by hand and may let the object adopt, in the runs that have one.
pub const HANDMADE: ClientNo = 1;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The object of the one name, if there is one.
    pub object: Option<Object>,
    /// The Secret of that name.
    pub secret: Option<Secret>,
    /// The vendor's clients, in the order they were made.
    pub clients: Vec<Client>,
    /// Whether the connection may be used; false while it is suspended.
    pub connected: bool,
    /// The definition of our kind is being deleted.
    pub definition_going: bool,
    /// Rotations that were sent, and that the vendor may carry out yet.
    pub pending: Vec<Pending>,
    /// What each rotation that was carried out had been asked for by.
    pub carried_out: Vec<Token>,
    /// Tokens of which status says that the vendor said yes.
    pub accepted: Vec<Token>,
    /// Tokens given out so far.
    pub tokens: Token,
    /// The annotation `rotate` in the manifest that the object is declared again from.
    pub manifest: Option<Token>,
    /// RecordedState of rotations written so far.
    pub records: u8,
    /// The operator's processes.
    pub processes: Vec<Process>,
    /// How much may still happen to them.
    pub left: Budget,
    /// Nothing happens to them any more, and caches have caught up.
    pub calm: bool,
    /// Writes and vendor calls since then.
    pub efforts: u8,
    /// Objects made so far.
    pub uids: Uid,
    /// Attempts claimed so far.
    pub attempts: AttemptNo,
    /// The client of the Secret that a backup holds, and the number of the secret in it.
    pub backup: Option<(ClientNo, SecretNo)>,
    /// Per object: creates sent, and decisions of people.
    pub tally: Vec<Tally>,
    /// Promises broken so far.
    pub broken: BTreeSet<Broken>,
}

/// An `OAuthClient` as the API server stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// `metadata.uid`
    pub uid: Uid,
    /// `metadata.deletionTimestamp`
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalizer: bool,
    /// The annotation `retry-create`.
    pub retry: Option<AttemptNo>,
    /// What the tenant declares.
    pub spec: Spec,
    /// `status.clientId`
    pub client: Option<ClientNo>,
    /// `status.bindingMAC` proves it.
    pub bound: bool,
    /// `status.createAttempt`
    pub attempt: Option<Claim>,
    /// The `Ready` condition of this generation.
    pub shown: Shown,
    /// An operator has reported on it: `observedGeneration` is not -1.
    pub looked_at: bool,
    /// The annotation `rotate`.
    pub token: Option<Token>,
    /// `status.lastHandledRotate`
    pub handled: Option<Token>,
    /// The schedule asks for a rotation.
    pub due: bool,
    /// `status.rotation`
    pub rotation: Option<Rotating>,
}

/// `status.createAttempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// `id`
    pub id: AttemptNo,
    /// `retryOf`
    pub retry_of: Option<AttemptNo>,
}

/// The part of the spec that decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// `deletionPolicy: Retain`
    pub retain: bool,
    /// `suspend: true`
    pub suspend: bool,
    /// `isActive`, which stands for every field that can drift.
    pub active: Option<bool>,
    /// `adoption`
    pub adoption: Option<Proof>,
}

/// What `spec.adoption` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The client made by hand, and a Secret with its current secret.
    Right,
    /// The client made by hand, and the very Secret that the object is to have.
    InPlace,
    /// The foreign client, and a Secret with something else.
    Wrong,
    /// The foreign client, and a Secret with its leaked secret.
    Leaked,
}

/// What a person reads in the `Ready` condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shown {
    /// Nothing of this generation yet.
    Pending,
    /// `Ready=True`
    Ready,
    /// `CreateOutcomeUnknown` or `ExistingClientReturned`: a person is asked to decide.
    Held,
    /// `SpecRejected`: waits for an edit.
    Rejected,
    /// The vendor said yes to this rotation, and did not carry it out.
    NotApplied(Token),
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
        /// Its binding is of the present key.
        bound: bool,
        /// `status.secretResourceVersion` names this very version.
        verified: bool,
    },
    /// Written by a tenant: a foreign clientId under a binding that does not hold.
    Forged {
        /// The controller owner's uid.
        owner: Option<Uid>,
    },
    /// Written by the tenant, who has mounted it: the credentials of the client made by hand.
    Handmade(SecretNo),
    /// Somebody else's.
    Stranger,
}

impl Secret {
    /// The controller owner's uid, if it is one of our kind.
    pub fn owner(self) -> Option<Uid> {
        match self {
            Self::Ours { owner, .. } | Self::Forged { owner } => owner,
            Self::Handmade(_) | Self::Stranger => None,
        }
    }
}

/// A client at the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// `isActive`; false too for one that the vendor does not have any more.
    pub active: bool,
    /// The vendor answers 404.
    pub gone: bool,
    /// A process has read the answer that names it.
    pub answered: bool,
    /// Lost by a crash, or left alone because somebody asked for it: no longer the operator's to account for.
    pub excused: bool,
    /// The number of its secret.
    pub secret: SecretNo,
    /// The number of the secret that GET answers: for a while after a rotation it may be the former one.
    pub shown: SecretNo,
}

impl Client {
    /// As it is when it has just been made.
    pub fn new(answered: bool) -> Self {
        Self {
            active: true,
            gone: false,
            answered,
            excused: false,
            secret: 0,
            shown: 0,
        }
    }
}

impl World {
    /// One object, just declared, and processes that know nothing.
    pub fn new(processes: usize, left: Budget, start: Start) -> Self {
        let mut world = Self {
            object: None,
            secret: None,
            clients: vec![Client::new(false)],
            connected: true,
            definition_going: false,
            pending: Vec::new(),
            carried_out: Vec::new(),
            accepted: Vec::new(),
            tokens: 0,
            manifest: None,
            records: 0,
            processes: vec![Process::default(); processes],
            left,
            calm: false,
            efforts: 0,
            uids: 0,
            attempts: 0,
            backup: None,
            tally: Vec::new(),
            broken: BTreeSet::new(),
        };
        world.declare();
        world.begin_with(start);
        world
    }

    /// A new object of the name.
    pub fn declare(&mut self) {
        let spec = Spec {
            retain: false,
            suspend: false,
            active: None,
            adoption: None,
        };
        let object = Object {
            uid: self.uids,
            deleting: false,
            finalizer: false,
            retry: None,
            spec,
            client: None,
            bound: false,
            attempt: None,
            shown: Shown::Pending,
            looked_at: false,
            token: self.manifest,
            handled: None,
            due: false,
            rotation: None,
        };
        self.uids += 1;
        self.tally.push(Tally::default());
        self.store_object(None, Some(object));
    }

    /// Stores the object. Every view but the writer's is outdated by it, and every process hears of it.
    pub fn store_object(&mut self, writer: Option<usize>, object: Option<Object>) {
        self.object = object;
        self.efforts += u8::from(self.calm);
        for (p, process) in self.processes.iter_mut().enumerate() {
            process.awake = true;
            if let Some(pass) = &mut process.pass {
                match object {
                    Some(object) if writer == Some(p) => pass.view = object,
                    _ => pass.current = false,
                }
            }
        }
    }

    /// Stores the Secret, likewise.
    pub fn store_secret(&mut self, writer: Option<usize>, secret: Option<Secret>) {
        self.secret = secret;
        self.efforts += u8::from(self.calm);
        if let Some(Secret::Ours { client, no, .. }) = secret {
            self.backup = self.left.restores.gt(&0).then_some((client, no));
        }
        for (p, process) in self.processes.iter_mut().enumerate() {
            process.awake = true;
            if let Some(pass) = &mut process.pass {
                if writer == Some(p) {
                    pass.secret = secret;
                } else {
                    pass.secret_current = false;
                }
            }
        }
    }

    /// Something else changed that a pass may look at.
    pub fn wake(&mut self) {
        for process in &mut self.processes {
            process.awake = true;
        }
    }

    /// Whether the object there is has this uid.
    pub fn lives(&self, uid: Uid) -> bool {
        self.object.is_some_and(|object| object.uid == uid)
    }

    /// A client's record at the vendor.
    pub fn client(&mut self, client: ClientNo) -> &mut Client {
        &mut self.clients[usize::from(client)]
    }
}
