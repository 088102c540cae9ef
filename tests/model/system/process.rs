//! One process of the operator: what it remembers between passes, and the pass it is in.

use std::sync::Arc;

use provident_core::plan::{AttemptState, Facts};
use provident_core::vendor::outcome::{Ambiguity, Refusal};

use super::mistakes::Mistake;
use super::names::client_id;
use super::object::{Object, Secret};
use super::rotation::KnownRotation;
use super::world::{AttemptNo, ClientNo, SecretNo, Uid};

/// A process. After a crash only the cache remains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its own create attempts.
    pub attempts: Vec<OwnAttempt>,
    /// Orphaned clients that it has not deactivated yet.
    pub orphans: Vec<ClientNo>,
    /// The attempt of another process that it has seen unchanged for two minutes, so that it cannot be running any more.
    pub abandoned: Option<AttemptNo>,
    /// The object as it saw it last. Kept only while a pass may still begin from it.
    pub cache: Option<Object>,
    /// The pass it is in; at most one, as there is one object.
    pub pass: Option<Pass>,
    /// Something changed since a pass found nothing to do.
    pub awake: bool,
    /// It is shutting down.
    pub stopping: bool,
    /// The open rotation.
    pub rotation: Option<KnownRotation>,
    /// A verification is due.
    pub due: bool,
    /// Its final scheduled verification has come.
    pub final_verification: bool,
}

/// The vendor's client as GET returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verified {
    /// Its id.
    pub client: ClientNo,
    /// `isActive`
    pub active: bool,
    /// The number of its secret.
    pub no: SecretNo,
}

/// An attempt of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnAttempt {
    /// The object it is for.
    pub uid: Uid,
    /// Its id.
    pub id: AttemptNo,
    /// The held attempt that it retries.
    pub retry_of: Option<AttemptNo>,
    /// How far it got.
    pub progress: Progress,
}

/// How far an attempt got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Remembered before the claim was written; not sent.
    Unsent,
    /// Sent, and not answered yet.
    InFlight,
    /// Answered: nothing was created.
    NotCreated(Refusal),
    /// Answered with this client, which status does not record yet.
    Created(ClientNo),
    /// The outcome is unknown.
    Unknown(Ambiguity),
}

impl OwnAttempt {
    /// It was sent, and is not known to have created nothing.
    pub fn may_have_created(&self) -> bool {
        match self.progress {
            Progress::Unsent | Progress::NotCreated(_) => false,
            Progress::InFlight | Progress::Created(_) | Progress::Unknown(_) => true,
        }
    }
}

/// One pass over the object: the program's facts, and what the program's shell holds beside them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The facts, changed by `Facts::apply` only. Shared between states, since most actions do not change them.
    pub facts: Arc<Facts>,
    /// The object as this pass read or wrote it last.
    pub view: Object,
    /// The API server still stores that version.
    pub view_current: bool,
    /// It must first decide what becomes of a client that it has not stored yet.
    pub resolving: bool,
    /// The Secret as this pass knows it.
    pub secret: Option<Secret>,
    /// This pass has read it. Otherwise the Secret is known by its version alone.
    pub secret_read: bool,
    /// The API server still stores that version.
    pub secret_current: bool,
    /// The vendor's client and its secret, as the vendor returned them last in this pass.
    pub verified: Option<Verified>,
    /// A rotation was sent after that.
    pub outdated: bool,
    /// A permit of the limiter: from the preflight to the create or the rotation.
    pub permit: bool,
    /// This pass wrote the claim, so recently that no other process can consider the attempt abandoned.
    pub claim_recent: bool,
    /// This pass wrote the record of the rotation, so recently that it may still be sent.
    pub record_recent: bool,
    /// It waits for the reply to its rotation.
    pub awaits_reply: bool,
    /// It has restarted the workloads.
    pub restarted: bool,
    /// The vendor rejected the create as invalid in this pass.
    pub rejected: bool,
}

impl Process {
    /// Its own attempt of this id.
    pub fn own(&self, id: AttemptNo) -> Option<&OwnAttempt> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    /// Notes how far an attempt of its own got.
    pub fn note(&mut self, id: AttemptNo, progress: Progress) {
        for attempt in &mut self.attempts {
            if attempt.id == id {
                attempt.progress = progress;
            }
        }
    }

    /// Forgets an attempt.
    pub fn forget(&mut self, id: AttemptNo) {
        self.attempts.retain(|attempt| attempt.id != id);
    }

    /// Its own attempt that is in flight.
    pub fn in_flight(&self) -> Option<OwnAttempt> {
        let sent = |attempt: &&OwnAttempt| attempt.progress == Progress::InFlight;
        self.attempts.iter().find(sent).copied()
    }

    /// The attempt for this object whose client is not stored yet, and the client.
    pub fn unstored(&self, uid: Uid) -> Option<(AttemptNo, ClientNo)> {
        let mut attempts = self.attempts.iter().filter(|attempt| attempt.uid == uid);
        attempts.find_map(|attempt| match attempt.progress {
            Progress::Created(client) => Some((attempt.id, client)),
            _ => None,
        })
    }

    /// What it knows of this attempt.
    pub fn attempt_state(
        &self,
        id: AttemptNo,
        view: &Object,
        mistake: Option<Mistake>,
    ) -> AttemptState {
        let adopts = view.spec.adoption.is_some();
        let recorded = view.attempt.filter(|claim| claim.id == id);
        if let Some(own) = self.own(id) {
            return match own.progress {
                Progress::Unsent => AttemptState::Unsent { in_time: false },
                Progress::NotCreated(refusal) => AttemptState::NotCreated(refusal),
                Progress::Created(client) => AttemptState::Created(client_id(client)),
                Progress::Unknown(ambiguity) => AttemptState::Unknown(ambiguity),
                Progress::InFlight => AttemptState::Unknown(Ambiguity::NoAnswer),
            };
        }
        if mistake == Some(Mistake::HoldForgottenOnRestart) {
            return AttemptState::Unsent { in_time: false };
        }
        if let Some(outcome) = recorded.and_then(|claim| claim.outcome) {
            return AttemptState::Unknown(outcome);
        }
        let unguarded = adopts && mistake == Some(Mistake::AdoptedDuringAttempt);
        if self.abandoned == Some(id) || unguarded {
            AttemptState::Abandoned
        } else {
            AttemptState::InProgress
        }
    }

    /// A pass has ended; `asked` says whether it asked the vendor about the client.
    pub fn verified(&mut self, asked: bool) {
        self.due &= !asked;
    }
}

/// A process ends and another starts in its place. Its watch shows it the object, and it remembers nothing.
pub fn restart(process: &mut Process) {
    *process = Process {
        cache: process.cache,
        awake: true,
        ..Process::default()
    };
}
