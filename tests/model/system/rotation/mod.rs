//! Rotation: what a process remembers of one, its steps, and a vendor who may carry one out after the reply is lost, and
//! answer the former secret for a while after that. The rules are those of `reconcile::rotate` and
//! `reconcile::rotations`; what to do is the plan's to say.

mod steps;
mod vendor;

use jiff::Timestamp;
use provident_core::plan::{self, Found, Open, RecordedClient, Rotation, RotationState, Vendor};

use super::System;
use super::mistakes::Mistake;
use super::process::{Pass, Process};
use super::world::{ClientNo, Object, SecretNo, Shown, Uid};

pub use steps::{answered, record, replies, reply, send};
pub use vendor::{actions, apply, unawaited};

/// A value of the annotation `rotate`; no two are alike.
pub type Token = u8;
/// What the schedule asks for in the annotation's place.
pub const SCHEDULED: Token = 100;

/// `status.rotation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rotating {
    /// `token`
    pub token: Token,
    /// `before`: the secret that GET answered when it was written.
    pub before: SecretNo,
    /// `startTime`, as a number.
    pub start: u8,
    /// `accepted`
    pub accepted: bool,
}

/// A rotation that was sent, and that the vendor may carry out yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Whose secret.
    pub client: ClientNo,
    /// What asked for it.
    pub token: Token,
    /// The process that waits for the reply.
    pub by: Option<usize>,
}

/// What a process remembers of the rotation that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Remembered {
    /// The object's uid.
    pub uid: Uid,
    /// The record, as it saw it last.
    pub record: Rotating,
    /// What was said to it.
    pub said: Said,
    /// GET answered the former secret.
    pub unmoved: bool,
    /// The minute after that is over.
    pub minute: bool,
    /// Then GET answered the former secret once more.
    pub over: bool,
    /// Ten minutes are over.
    pub long_ago: bool,
}

/// What was said to a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// Ours, and not sent.
    Unsent,
    /// AttemptState not to have been carried out.
    Refused,
    /// 2xx
    Accepted,
    /// Nothing, or it is another's.
    Unknown,
}

/// The replies to a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 2xx, and GET answers the new secret.
    Rotated,
    /// 2xx, and GET answers the former one for a while.
    Lagging,
    /// 2xx, and nothing was done.
    Ignored,
    /// 429
    Refused,
    /// None, or a 5xx: it may be carried out later.
    Silent,
}

/// A pass begins: what is remembered of the rotation is held against the record.
pub fn observe(process: &mut Process, view: &Object, mistake: Option<Mistake>) {
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
            && known.said == Said::Unknown
            && mistake != Some(Mistake::AcceptedUnnoticed)
        {
            known.said = Said::Accepted;
        }
        return;
    }
    let said = if record.accepted {
        Said::Accepted
    } else {
        Said::Unknown
    };
    process.rotation = Some(remembered(view.uid, record, said));
}

fn remembered(uid: Uid, record: Rotating, said: Said) -> Remembered {
    Remembered {
        uid,
        record,
        said,
        unmoved: false,
        minute: false,
        over: false,
        long_ago: false,
    }
}

/// The facts, as the program's plan takes them.
pub fn facts(
    process: &Process,
    pass: &Pass,
    record: &RecordedClient,
    mistake: Option<Mistake>,
) -> Rotation {
    let view = &pass.view;
    let open = view.rotation.map(|rotating| Open {
        token: token(rotating.token),
        state: known(process, pass, mistake),
    });
    let first_look = !view.looked_at && open.is_none();
    let may = !view.deleting && !view.spec.suspend && matches!(record, RecordedClient::Bound(_));
    let heeds = may && (!first_look || mistake == Some(Mistake::ObeyedAtFirstLook));
    let text = |token: Option<Token>| token.map(|token| self::token(token).text);
    let (annotation, handled) = (text(view.token), text(view.handled));
    let due = view.due.then_some(Timestamp::UNIX_EPOCH);
    let asked = heeds
        .then(|| {
            plan::asked(
                annotation.as_deref(),
                handled.as_deref(),
                due,
                open.as_ref(),
            )
        })
        .flatten();
    Rotation {
        asked,
        waits: None,
        open,
    }
}

fn known(process: &Process, pass: &Pass, mistake: Option<Mistake>) -> RotationState {
    let Some(known) = &process.rotation else {
        return RotationState::InProgress;
    };
    match known.said {
        Said::Unsent => RotationState::Unsent {
            in_time: pass.record_in_time,
        },
        Said::Refused => RotationState::Refused,
        Said::Accepted if known.long_ago => RotationState::NotApplied,
        // An earlier run told this; it stays told.
        Said::Accepted
            if pass.view.shown == Shown::NotApplied(known.record.token)
                && mistake != Some(Mistake::ToldAnew) =>
        {
            RotationState::NotApplied
        }
        Said::Accepted => RotationState::Accepted,
        Said::Unknown if known.over || mistake == Some(Mistake::ResentAtOnce) => {
            RotationState::Abandoned
        }
        Said::Unknown => RotationState::InProgress,
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

/// Whether the secret that GET has just answered is another one than before; that it is not is remembered.
pub fn compare(process: &mut Process, view: &Object, no: SecretNo) -> bool {
    let Some(record) = view.rotation else {
        return false;
    };
    if no != record.before {
        return true;
    }
    if let Some(known) = &mut process.rotation {
        known.over |= known.unmoved && known.minute;
        known.unmoved = true;
    }
    false
}

/// What a report makes of the record: a rotation that GET shows to be done is closed once the Secret holds what it made.
pub fn close(system: &System, process: &Process, pass: &Pass, stored: bool, object: &mut Object) {
    let early = system.mistake == Some(Mistake::AcknowledgedEarly);
    let (Vendor::Found(Found { rotated, .. }), Some(record)) = (&pass.vendor, &mut object.rotation)
    else {
        return;
    };
    if !stored && !early {
        return;
    }
    if !rotated {
        let known = known(process, pass, system.mistake);
        record.accepted = matches!(known, RotationState::Accepted | RotationState::NotApplied);
        return;
    }
    if record.token != SCHEDULED {
        object.handled = Some(record.token);
    }
    object.due = false;
    object.rotation = None;
}
