//! What the processes act on: the API server with one object and its Secret, and the vendor.
//!
//! A real write carries the `resourceVersion` of the view it was computed from, and is refused if the object has changed
//! since. Only equality matters, so a view has a flag instead, which every write of another writer clears. Thus states
//! that differ only in the number of writes are equal.

use std::collections::BTreeSet;

use super::budget::Budget;
use super::object::{Object, Secret};
use super::process::Process;
use super::properties::{Broken, Tally};
use super::rotation::{Pending, Token};
use super::start::Start;

/// `metadata.uid`. The name is always the same one.
pub type Uid = u8;
/// `status.createAttempt.id`: random in reality, so never the same twice.
pub type AttemptNo = u8;
/// A clientId: its place in [`World::clients`].
pub type ClientNo = u8;
/// A client's secret: how often it was rotated before.
pub type SecretNo = u8;

/// The client of an object in another tenant's namespace. Whoever makes the operator use it gets that tenant's secret.
pub const FOREIGN: ClientNo = 0;
/// In the runs that have one: a client that a person created by hand and that the object may adopt.
pub const HANDMADE: ClientNo = 1;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The object of the one name, if there is one.
    pub object: Option<Object>,
    /// The Secret of that name.
    pub secret: Option<Secret>,
    /// The vendor's clients, in the order of their creation.
    pub clients: Vec<Client>,
    /// Whether the connection may be used; false while it is suspended.
    pub connected: bool,
    /// The `CustomResourceDefinition` is being deleted.
    pub crd_terminating: bool,
    /// Rotations that were sent, and that the vendor may carry out yet.
    pub pending: Vec<Pending>,
    /// The token of each rotation that was carried out.
    pub carried_out: Vec<Token>,
    /// Tokens whose rotation status once recorded as accepted.
    pub accepted: Vec<Token>,
    /// Number of tokens used so far.
    pub tokens: Token,
    /// The annotation `rotate` in the manifest from which the object is declared again.
    pub manifest: Option<Token>,
    /// Number of rotation records written so far.
    pub records: u8,
    /// The operator's processes.
    pub processes: Vec<Process>,
    /// How much may still go wrong or interfere.
    pub left: Budget,
    /// Nothing goes wrong or interferes any more.
    pub calm: bool,
    /// Writes and vendor calls since then, and since the object last progressed.
    pub efforts: u8,
    /// Number of objects declared so far.
    pub uids: Uid,
    /// Number of attempts claimed so far.
    pub attempts: AttemptNo,
    /// The client of the Secret in the backup, and the number of its secret.
    pub backup: Option<(ClientNo, SecretNo)>,
    /// Per object: creates sent, and decisions of people.
    pub tally: Vec<Tally>,
    /// Promises broken so far.
    pub broken: BTreeSet<Broken>,
}

/// A client at the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// `isActive`; also false for a client that no longer exists.
    pub active: bool,
    /// The vendor answers 404.
    pub gone: bool,
    /// A process has read the answer that names it.
    pub answered: bool,
    /// Lost in a crash, or left active on request: the operator need not account for it any more.
    pub excused: bool,
    /// The number of its secret.
    pub secret: SecretNo,
    /// The number of the secret that GET returns: for a while after a rotation it may be the previous one.
    pub shown: SecretNo,
}

impl Client {
    /// Just created. `answered`: the operator knows it.
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
    /// One object and processes that know nothing.
    pub fn new(processes: usize, left: Budget, start: Start) -> Self {
        let mut world = Self {
            object: None,
            secret: None,
            clients: vec![Client::new(false)],
            connected: true,
            crd_terminating: false,
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
        let object = Object::new(self.uids, self.manifest);
        self.uids += 1;
        self.tally.push(Tally::default());
        self.store_object(None, Some(object));
    }

    /// Stores the object. Every view but the writer's is stale then, and every process is notified.
    pub fn store_object(&mut self, writer: Option<usize>, object: Option<Object>) {
        self.efforts += u8::from(self.calm);
        if progresses(self.object.as_ref(), object.as_ref()) {
            self.efforts = 0;
        }
        self.object = object;
        for (p, process) in self.processes.iter_mut().enumerate() {
            process.awake = true;
            if let Some(pass) = &mut process.pass {
                match object {
                    Some(object) if writer == Some(p) => pass.view = object,
                    _ => pass.view_current = false,
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

    /// Something else changed that may concern a pass.
    pub fn wake(&mut self) {
        for process in &mut self.processes {
            process.awake = true;
        }
    }

    /// Whether the object of this uid exists.
    pub fn lives(&self, uid: Uid) -> bool {
        self.object.is_some_and(|object| object.uid == uid)
    }

    /// A client's record at the vendor.
    pub fn client(&mut self, client: ClientNo) -> &mut Client {
        &mut self.clients[usize::from(client)]
    }
}

/// Whether a write brings the object a client, another attempt or another rotation, or ends it. The numbers of attempts and
/// rotations are bounded too, so this cannot go on for ever.
fn progresses(before: Option<&Object>, after: Option<&Object>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return true;
    };
    let attempt = |object: &Object| object.attempt.map(|claim| claim.id);
    let rotation = |object: &Object| object.rotation.map(|record| record.start);
    before.client != after.client
        || attempt(before) != attempt(after)
        || rotation(before) != rotation(after)
}
