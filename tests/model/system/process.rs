//! One process of the operator: what it remembers, the pass it is in, and the facts it hands to the program's plan.

use std::sync::LazyLock;

use provident_operator::api::{OAuthClientSpec, Reason};
use provident_operator::plan::{
    self, Adoption, Attempt, AttemptId, AutoRetry, Binding, Connection, Content, Known, Owner,
    Record, Rival, Rotation, SecretSeen, Seen, Vendor,
};
use provident_operator::provident::outcome::{Doubt, Refusal};
use provident_operator::provident::types::{ClientId, VendorClient};

use super::mistakes::Mistake;
use super::world::{AttemptNo, ClientNo, Object, Secret, Shown, Spec, Uid};

/// A process. A crash leaves the default, but for the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its own attempts whose end it has not yet seen in the cluster.
    pub memory: Vec<Memory>,
    /// The foreign attempt that it has seen unchanged for so long that it cannot be under way any more.
    pub over: Option<AttemptNo>,
    /// The object as it saw it last. Kept only while a pass may still begin from it.
    pub cache: Option<Object>,
    /// The pass it is in; at most one, as there is one object.
    pub pass: Option<Pass>,
    /// Something changed since a pass found nothing to do.
    pub awake: bool,
    /// It was told to leave.
    pub stopping: bool,
}

/// What a process remembers of an attempt of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The object it is for.
    pub uid: Uid,
    /// Its id.
    pub id: AttemptNo,
    /// The held attempt that it tries again.
    pub retry_of: Option<AttemptNo>,
    /// How far it got.
    pub state: Sent,
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Registered before the claim was written; not sent.
    Unsent,
    /// On its way.
    InFlight,
    /// Answered: nothing was made.
    NotCreated(Refusal),
    /// Answered with this client, not recorded in status yet.
    Created(ClientNo),
    /// The outcome is not known.
    Unknown(Doubt),
    /// Answered with this client, too late: it is to be deactivated.
    Late(ClientNo),
}

/// One pass of the loop over the object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The object as this pass sees it.
    pub view: Object,
    /// The view is the stored version still.
    pub current: bool,
    /// The Secret has been read.
    pub read: bool,
    /// The Secret as it was read or written last.
    pub secret: Option<Secret>,
    /// That is the stored version still.
    pub secret_current: bool,
    /// The preflight passed.
    pub preflight: bool,
    /// This pass wrote the claim, and so recently that no other process can take the attempt for over.
    pub in_time: bool,
    /// What the vendor said.
    pub vendor: Vendor,
    /// The vendor's client as the vendor had it when it last answered in this pass: id and `isActive`.
    pub verified: Option<(ClientNo, bool)>,
    /// A step could not be carried out.
    pub stop: Option<Reason>,
}

impl Pass {
    /// A pass over this view.
    pub fn over(view: Object, current: bool) -> Self {
        Self {
            view,
            current,
            read: false,
            secret: None,
            secret_current: false,
            preflight: false,
            in_time: false,
            vendor: Vendor::NotAsked,
            verified: None,
            stop: None,
        }
    }
}

impl Process {
    /// What it remembers of this attempt.
    pub fn remembers(&self, id: AttemptNo) -> Option<&Memory> {
        self.memory.iter().find(|memory| memory.id == id)
    }

    /// Sets how far an attempt of its own got.
    pub fn learn(&mut self, id: AttemptNo, state: Sent) {
        for memory in &mut self.memory {
            if memory.id == id {
                memory.state = state;
            }
        }
    }

    /// Forgets an attempt.
    pub fn forget(&mut self, id: AttemptNo) {
        self.memory.retain(|memory| memory.id != id);
    }

    /// The attempt of its own that is on its way.
    pub fn in_flight(&self) -> Option<Memory> {
        let sent = |memory: &&Memory| memory.state == Sent::InFlight;
        self.memory.iter().find(sent).copied()
    }

    /// The answer for this object that waits to be recorded.
    pub fn answer(&self, uid: Uid) -> Option<Memory> {
        let created = |m: &&Memory| m.uid == uid && matches!(m.state, Sent::Created(_));
        self.memory.iter().find(created).copied()
    }

    fn known(&self, id: AttemptNo, in_time: bool, mistake: Option<Mistake>) -> Known {
        match self.remembers(id).map(|memory| memory.state) {
            Some(Sent::Unsent) => Known::Unsent { in_time },
            Some(Sent::NotCreated(refusal)) => Known::NotCreated(refusal),
            Some(Sent::Created(client)) => Known::Created(client_id(client)),
            Some(Sent::Unknown(doubt)) => Known::Unknown(doubt),
            Some(Sent::InFlight | Sent::Late(_)) => Known::Unknown(Doubt::Silent),
            None if mistake == Some(Mistake::HoldForgottenOnRestart) => {
                Known::Unsent { in_time: false }
            }
            None if self.over == Some(id) => Known::Over,
            None => Known::MayRun,
        }
    }

    /// The facts of a pass, as the program's plan takes them.
    pub fn seen(&self, pass: &Pass, connected: bool, mistake: Option<Mistake>) -> Seen {
        let view = &pass.view;
        let open = view.attempt.map(|claim| (claim.id, claim.retry_of));
        let answer = || self.answer(view.uid).map(|m| (m.id, m.retry_of));
        let attempt = open.or_else(answer).map(|(id, retry_of)| Attempt {
            id: attempt_id(id),
            retry_of: retry_of.map(attempt_id),
            known: self.known(id, pass.in_time, mistake),
        });
        let connection = if connected {
            Connection::Usable
        } else {
            Connection::Unusable(Reason::ConnectionNotReady, String::new())
        };
        let mut seen = Seen {
            deleting: view.deleting,
            finalizer: view.finalizer,
            ready: view.shown == Shown::Ready,
            rejected: view.shown == Shown::Rejected,
            due: false,
            record: match view.client {
                Some(client) if view.bound => Record::Bound(client_id(client)),
                Some(_) => Record::Unproven,
                None => Record::Empty,
            },
            attempt,
            retry: view.retry.map(attempt_id),
            secret: SecretSeen::Absent,
            connection,
            breaker_open: false,
            auto_retry: AutoRetry::No,
            stopping: self.stopping,
            preflight: pass.preflight || mistake == Some(Mistake::PreflightSkipped),
            vendor: pass.vendor.clone(),
            contested: false,
            definition_going: false,
            not_applied: Vec::new(),
            adoption: Adoption::None,
            rival: Rival::None,
            restart: false,
            rotation: Rotation::default(),
        };
        if let Some(secret) = pass.secret {
            seen.secret = secret_seen(secret, view.uid, Content::Unknown);
            let asked = matches!(&pass.vendor, Vendor::Found(found) if found.credentials);
            let content = match mistake {
                Some(Mistake::SecretUnread) => Content::Current,
                _ => content(secret, view.uid, plan::client(&seen).as_ref(), asked),
            };
            seen.secret = secret_seen(secret, view.uid, content);
        }
        seen
    }
}

/// A process ends and another starts in its place. It finds what its cache finds, and remembers nothing.
pub fn restart(process: &mut Process) {
    *process = Process {
        cache: process.cache,
        awake: true,
        ..Process::default()
    };
}

/// What a read Secret is to the object of this uid.
pub fn secret_seen(secret: Secret, uid: Uid, content: Content) -> SecretSeen {
    let owner = match secret {
        Secret::Stranger => Owner::Other,
        _ => match secret.owner() {
            None => Owner::None,
            Some(owner) if owner == uid => Owner::This,
            Some(_) => Owner::Former,
        },
    };
    let binding = match secret {
        Secret::Ours { client, .. } => Binding::Valid(client_id(client)),
        Secret::Forged { .. } => Binding::Invalid,
        Secret::Stranger => Binding::Missing,
    };
    SecretSeen::Present {
        owner,
        binding,
        content,
    }
}

/// Compared with the credentials in hand; without them only the version tells.
fn content(secret: Secret, uid: Uid, client: Option<&ClientId>, asked: bool) -> Content {
    match secret {
        Secret::Ours {
            owner,
            client: held,
            ..
        } if asked && owner == Some(uid) && client == Some(&client_id(held)) => Content::Current,
        _ if asked => Content::Stale,
        Secret::Ours { verified: true, .. } => Content::Current,
        _ => Content::Unknown,
    }
}

/// An attempt's id, as the program has it.
pub fn attempt_id(id: AttemptNo) -> AttemptId {
    AttemptId(format!("a{id}"))
}

/// The number of an attempt's id.
pub fn attempt_no(id: &AttemptId) -> AttemptNo {
    id.0[1..].parse().expect("an id made by attempt_id")
}

/// A clientId, as the program has it.
pub fn client_id(client: ClientNo) -> ClientId {
    ClientId::parse(&format!("c{client}")).expect("of safe form")
}

/// The number of a clientId.
pub fn client_no(id: &ClientId) -> ClientNo {
    id.as_str()[1..].parse().expect("an id made by client_id")
}

/// The spec, as the program has it.
pub fn declared(spec: Spec) -> &'static OAuthClientSpec {
    static ALL: LazyLock<Vec<(Spec, OAuthClientSpec)>> = LazyLock::new(|| {
        let mut all = Vec::new();
        for (retain, suspend) in [(false, false), (false, true), (true, false), (true, true)] {
            for active in [None, Some(false), Some(true)] {
                let spec = Spec {
                    retain,
                    suspend,
                    active,
                };
                let written = serde_json::json!({
                    "allowedScopes": ["listings:read"],
                    "isActive": active,
                    "suspend": suspend,
                    "deletionPolicy": if retain { "Retain" } else { "Deactivate" },
                });
                all.push((spec, serde_json::from_value(written).expect("a valid spec")));
            }
        }
        all
    });
    let found = ALL.iter().find(|(known, _)| *known == spec);
    &found.expect("every spec is there").1
}

/// The vendor's answer about a client, as the program reads it.
pub fn answered(active: bool) -> VendorClient {
    VendorClient {
        allowed_scopes: Some(vec!["listings:read".to_owned()]),
        is_active: Some(active),
        ..VendorClient::default()
    }
}
