//! Rotation: what a process remembers of one, its steps, and a vendor that may carry one out after the reply is lost, and
//! return the previous secret for a while after that. The memory follows the program's `state::rotations`; what to do is
//! for the plan to decide.

mod steps;
mod vendor;

use jiff::Timestamp;
use provident_core::plan::{
    self, Facts, Open, RecordedClient, Rotation, RotationState, SecretChange, Vendor,
    requested_rotation,
};

use super::mistakes::Mistake;
use super::object::Object;
use super::process::Process;
use super::world::{ClientNo, SecretNo, Uid};

pub use steps::{record, replies, reply, send};
pub use vendor::{actions, apply, unawaited};

/// A value of the annotation `rotate`; no two are equal.
pub type Token = u8;
/// The token of a rotation that the schedule requests.
pub const SCHEDULED: Token = 100;

/// `status.rotation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// `token`
    pub token: Token,
    /// `previousSecretHash`, as the number of the secret that GET returned when the record was written.
    pub previous: SecretNo,
    /// `startTime`, as a number.
    pub start: u8,
    /// `accepted`
    pub accepted: bool,
    /// `notApplied`
    pub not_applied: bool,
}

/// A rotation that was sent, and that the vendor may still carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Whose secret.
    pub client: ClientNo,
    /// What requested it.
    pub token: Token,
    /// The process that waits for the reply.
    pub by: Option<usize>,
}

/// What a process remembers of the open rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KnownRotation {
    /// The object's uid.
    pub uid: Uid,
    /// The record, as this process saw it last.
    pub record: Record,
    /// What became of it.
    pub progress: Progress,
    /// GET returned the previous secret.
    pub unchanged: bool,
    /// A minute has passed since.
    pub minute: bool,
    /// Then GET returned the previous secret again.
    pub abandoned: bool,
    /// Ten minutes have passed.
    pub long_ago: bool,
}

/// What became of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Recorded by this process, and not sent.
    Unsent,
    /// Sent by this process, and known not to have been carried out.
    Refused,
    /// Accepted by the vendor.
    Accepted,
    /// Sent by this process and unanswered, or recorded by another process.
    Unknown,
}

/// The replies to a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 2xx, and GET returns the new secret.
    Rotated,
    /// 2xx, and GET returns the previous one for a while.
    Lagging,
    /// 2xx, and nothing was done.
    Ignored,
    /// 429
    Refused,
    /// None, or a 5xx: it may still be carried out.
    NoAnswer,
}

/// A pass begins: compares what is remembered with the record in status.
pub fn note_record(process: &mut Process, view: &Object, mistake: Option<Mistake>) {
    let Some(record) = view.rotation else {
        process.rotation = None;
        return;
    };
    if let Some(known) = &mut process.rotation
        && known.uid == view.uid
        && (known.record.token, known.record.start) == (record.token, record.start)
    {
        known.record = record;
        if record.accepted
            && known.progress == Progress::Unknown
            && mistake != Some(Mistake::AcceptedUnnoticed)
        {
            known.progress = Progress::Accepted;
        }
        return;
    }
    let progress = if record.accepted {
        Progress::Accepted
    } else {
        Progress::Unknown
    };
    process.rotation = Some(known(view.uid, record, progress));
}

fn known(uid: Uid, record: Record, progress: Progress) -> KnownRotation {
    KnownRotation {
        uid,
        record,
        progress,
        unchanged: false,
        minute: false,
        abandoned: false,
        long_ago: false,
    }
}

/// The facts at the beginning of a pass.
pub fn observe(
    process: &Process,
    view: &Object,
    record: &RecordedClient,
    mistake: Option<Mistake>,
) -> Rotation {
    let open = view.rotation.map(|rotation| Open {
        token: token(rotation.token),
        state: state(process, mistake),
    });
    let came_with_object = !view.observed && open.is_none();
    let bound = match record {
        RecordedClient::Bound(_) => true,
        RecordedClient::Empty | RecordedClient::Unverified | RecordedClient::KeyMissing => false,
    };
    let may = !view.deleting && !view.spec.suspend && bound;
    let follows = may && (!came_with_object || mistake == Some(Mistake::FirstTokenFollowed));
    let text = |token: Option<Token>| token.map(|token| self::token(token).text);
    let (annotation, handled) = (text(view.token), text(view.handled));
    let due = view.due.then_some(Timestamp::UNIX_EPOCH);
    let requested = follows.then(|| {
        requested_rotation(
            annotation.as_deref(),
            handled.as_deref(),
            due,
            open.as_ref(),
        )
    });
    Rotation {
        requested: requested.flatten(),
        waiting: None,
        open,
    }
}

/// What the process knows of the rotation that status records. One that was just recorded is `in_time` for the plan by
/// `Facts::apply`; a later pass never sends it.
fn state(process: &Process, mistake: Option<Mistake>) -> RotationState {
    let Some(known) = &process.rotation else {
        return RotationState::InProgress;
    };
    match known.progress {
        Progress::Unsent => RotationState::Unsent { in_time: false },
        Progress::Refused => RotationState::Refused,
        Progress::Accepted if known.long_ago => RotationState::NotApplied,
        // An earlier process reported it.
        Progress::Accepted
            if known.record.not_applied && mistake != Some(Mistake::NotAppliedForgotten) =>
        {
            RotationState::NotApplied
        }
        Progress::Accepted => RotationState::Accepted,
        Progress::Unknown if known.abandoned || mistake == Some(Mistake::ResentAtOnce) => {
            RotationState::Abandoned
        }
        Progress::Unknown => RotationState::InProgress,
    }
}

fn token(token: Token) -> plan::Token {
    let scheduled = token == SCHEDULED;
    let text = if scheduled {
        Timestamp::UNIX_EPOCH.to_string()
    } else {
        format!("t{token}")
    };
    plan::Token { text, scheduled }
}

fn token_no(token: &plan::Token) -> Token {
    if token.scheduled {
        return SCHEDULED;
    }
    token.text[1..].parse().expect("a text made by token")
}

/// How the secret that GET returns compares with the one before the open rotation. That it is the same is remembered.
pub fn compare(
    process: &mut Process,
    view: &Object,
    no: SecretNo,
    mistake: Option<Mistake>,
) -> Option<SecretChange> {
    let record = view.rotation?;
    if no != record.previous {
        return Some(SecretChange::Rotated);
    }
    if let Some(known) = &mut process.rotation {
        known.abandoned |= known.unchanged && known.minute;
        known.unchanged = true;
    }
    Some(SecretChange::Unchanged(state(process, mistake)))
}

/// What a report makes of the record once the Secret holds what GET returned: a rotation that is done is closed.
pub fn close(facts: &Facts, object: &mut Object) {
    let (Vendor::Found(found), Some(open), Some(record)) =
        (&facts.vendor, &facts.rotation.open, &mut object.rotation)
    else {
        return;
    };
    if !found.rotated {
        record.accepted = open.state.was_accepted();
        record.not_applied = open.state == RotationState::NotApplied;
        return;
    }
    if record.token != SCHEDULED {
        object.handled = Some(record.token);
    }
    object.due = false;
    object.rotation = None;
}
