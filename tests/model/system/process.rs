//! One process of the operator: what it remembers, the pass it is in, and the facts it hands to the program's plan.

use provident_core::api::Reason;
use provident_core::plan::{
    self, AdoptionFact, Attempt, AttemptState, AutoRetry, Binding, Conflict, ConnectionFacts,
    Content, Facts, Owner, RecordedClient, Rotation, SecretFacts, Vendor,
};
use provident_core::vendor::outcome::{Ambiguity, Refusal};
use provident_core::vendor::types::ClientId;

use super::mistakes::Mistake;
use super::names::{attempt_id, client_id};
use super::rotation::Remembered;
use super::world::{AttemptNo, ClientNo, Object, Secret, SecretNo, Shown, Uid};
use super::{System, adoption, rotation};

/// A process. A crash leaves the default, but for the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its own attempts whose end it has not yet facts in the cluster.
    pub memory: Vec<Memory>,
    /// The foreign attempt that it has facts unchanged for so long that it cannot be under way any more.
    pub over: Option<AttemptNo>,
    /// The object as it saw it last. Kept only while a pass may still begin from it.
    pub cache: Option<Object>,
    /// The pass it is in; at most one, as there is one object.
    pub pass: Option<Pass>,
    /// Something changed since a pass found nothing to do.
    pub awake: bool,
    /// It was told to leave.
    pub stopping: bool,
    /// The rotation that is open.
    pub rotation: Option<Remembered>,
    /// A scheduled verification is due.
    pub due: bool,
    /// That was the last one.
    pub checked: bool,
}

/// The vendor's client as GET answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verified {
    /// Its id.
    pub client: ClientNo,
    /// `isActive`
    pub active: bool,
    /// The number of its secret.
    pub no: SecretNo,
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
    pub state: Progress,
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Registered before the claim was written; not sent.
    Unsent,
    /// On its way.
    InFlight,
    /// Answered: nothing was made.
    NotCreated(Refusal),
    /// Answered with this client, not recorded in status yet.
    Created(ClientNo),
    /// The outcome is not known.
    Unknown(Ambiguity),
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
    /// The vendor's client as the vendor had it when it last answered in this pass.
    pub verified: Option<Verified>,
    /// The client that was adopted in this pass, and whether in place.
    pub adopted: Option<(ClientNo, bool)>,
    /// A permit of the limiter: from the preflight to the rotation.
    pub permit: bool,
    /// This pass wrote the record, and so recently that the rotation may still be sent.
    pub record_in_time: bool,
    /// It waits for the reply to its rotation.
    pub awaits: bool,
    /// It has facts that the definition of our kind is being deleted.
    pub definition_going: bool,
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
            adopted: None,
            permit: false,
            record_in_time: false,
            awaits: false,
            definition_going: false,
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
    pub fn learn(&mut self, id: AttemptNo, state: Progress) {
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
        let sent = |memory: &&Memory| memory.state == Progress::InFlight;
        self.memory.iter().find(sent).copied()
    }

    /// The answer for this object that waits to be recorded.
    pub fn answer(&self, uid: Uid) -> Option<Memory> {
        let created = |m: &&Memory| m.uid == uid && matches!(m.state, Progress::Created(_));
        self.memory.iter().find(created).copied()
    }

    /// A pass in which the vendor was asked has come to its end.
    pub fn verified(&mut self, asked: bool) {
        self.due &= !asked;
    }

    fn known(&self, id: AttemptNo, pass: &Pass, mistake: Option<Mistake>) -> AttemptState {
        let in_time = pass.in_time;
        let adopts = pass.view.spec.adoption.is_some();
        match self.remembers(id).map(|memory| memory.state) {
            Some(Progress::Unsent) => AttemptState::Unsent { in_time },
            Some(Progress::NotCreated(refusal)) => AttemptState::NotCreated(refusal),
            Some(Progress::Created(client)) => AttemptState::Created(client_id(client)),
            Some(Progress::Unknown(doubt)) => AttemptState::Unknown(doubt),
            Some(Progress::InFlight | Progress::Late(_)) => {
                AttemptState::Unknown(Ambiguity::NoAnswer)
            }
            None if mistake == Some(Mistake::HoldForgottenOnRestart) => {
                AttemptState::Unsent { in_time: false }
            }
            None if self.over == Some(id) => AttemptState::Abandoned,
            None if adopts && mistake == Some(Mistake::AdoptedDuringAttempt) => {
                AttemptState::Abandoned
            }
            None => AttemptState::InProgress,
        }
    }

    /// The facts of a pass, as the program's plan takes them.
    pub fn facts(&self, pass: &Pass, connected: bool, system: &System) -> Facts {
        let view = &pass.view;
        let mistake = system.mistake;
        let open = view.attempt.map(|claim| (claim.id, claim.retry_of));
        let answer = || self.answer(view.uid).map(|m| (m.id, m.retry_of));
        let attempt = open.or_else(answer).map(|(id, retry_of)| Attempt {
            id: attempt_id(id),
            retry_of: retry_of
                .filter(|_| mistake != Some(Mistake::RetriedForEver))
                .map(attempt_id),
            state: self.known(id, pass, mistake),
        });
        let unknown = |attempt: &Attempt| {
            attempt.retry_of.is_none()
                && matches!(
                    attempt.state,
                    AttemptState::Abandoned | AttemptState::Unknown(Ambiguity::NoAnswer)
                )
        };
        // Its waits are over at once: whatever may come between comes from elsewhere.
        let auto_retry = match &attempt {
            Some(attempt) if system.retries_itself && unknown(attempt) => AutoRetry::Due,
            _ => AutoRetry::No,
        };
        let connection = if connected {
            ConnectionFacts::Usable
        } else {
            ConnectionFacts::Unusable(Reason::ConnectionNotReady, String::new())
        };
        let mut facts = Facts {
            deleting: view.deleting,
            finalizer: view.finalizer,
            ready: view.shown == Shown::Ready,
            rejected: view.shown == Shown::Rejected,
            due: self.due,
            record: match view.client {
                Some(client) if view.bound || mistake == Some(Mistake::UnprovenUsed) => {
                    RecordedClient::Bound(client_id(client))
                }
                Some(_) => RecordedClient::Unverified,
                None => RecordedClient::Empty,
            },
            attempt,
            retry: view.retry.map(attempt_id),
            secret: SecretFacts::Absent,
            connection,
            breaker_open: false,
            auto_retry,
            stopping: self.stopping,
            preflight: pass.preflight || mistake == Some(Mistake::PreflightSkipped),
            vendor: pass.vendor.clone(),
            contested: false,
            definition_going: pass.definition_going,
            not_applied: Vec::new(),
            adoption: AdoptionFact::None,
            conflict: Conflict::None,
            restart: false,
            rotation: Rotation::default(),
        };
        facts.rotation = rotation::facts(self, pass, &facts.record, mistake);
        if let Some(secret) = pass.secret {
            facts.secret = secret_facts(secret, view.uid, Content::Unknown);
            facts.adoption = adoption::fact(system, pass, &facts);
            let asked = matches!(&pass.vendor, Vendor::Found(found) if found.credentials);
            let content = match mistake {
                Some(Mistake::SecretUnread) => Content::Current,
                _ if asked => compared(
                    secret,
                    view.uid,
                    plan::client(&facts).as_ref(),
                    pass.verified,
                ),
                _ if matches!(secret, Secret::Ours { verified: true, .. }) => Content::Current,
                _ => Content::Unknown,
            };
            facts.secret = secret_facts(secret, view.uid, content);
        } else {
            facts.adoption = adoption::fact(system, pass, &facts);
        }
        facts
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
pub fn secret_facts(secret: Secret, uid: Uid, content: Content) -> SecretFacts {
    let owner = match secret {
        Secret::Stranger => Owner::Other,
        _ => match secret.owner() {
            None => Owner::None,
            Some(owner) if owner == uid => Owner::This,
            Some(_) => Owner::Former,
        },
    };
    let binding = match secret {
        Secret::Ours {
            client,
            bound: true,
            ..
        } => Binding::Valid(client_id(client)),
        Secret::Ours { .. } | Secret::Forged { .. } => Binding::Invalid,
        Secret::Handmade(_) | Secret::Stranger => Binding::Missing,
    };
    SecretFacts::Present {
        owner,
        binding,
        content,
    }
}

/// Compared with the credentials in hand.
fn compared(
    secret: Secret,
    uid: Uid,
    asked: Option<&ClientId>,
    verified: Option<Verified>,
) -> Content {
    match (secret, verified) {
        (
            Secret::Ours {
                owner,
                client,
                no,
                bound: true,
                ..
            },
            Some(verified),
        ) if owner == Some(uid) && asked == Some(&client_id(client)) && no == verified.no => {
            Content::Current
        }
        _ => Content::Stale,
    }
}
