//! Rotation: what a process remembers of one, its steps, and a vendor who may carry one out after the reply is lost, and
//! answer the former secret for a while after that. The rules are those of `reconcile::rotate` and
//! `reconcile::rotations`; what to do is the plan's to say.

use jiff::Timestamp;
use provident_operator::api::Reason;
use provident_operator::plan::{self, Found, Open, Record, Rotation, Sent, Vendor};

use super::mistakes::Mistake;
use super::process::{Pass, Process, Verified, restart};
use super::properties::Broken;
use super::requests::{abandon, pass, write};
use super::steps::{call, found};
use super::world::{ClientNo, Object, SecretNo, Shown, Uid, World};
use super::{Action, Luck, System};

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
    /// Known not to have been carried out.
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
    let said = match record.accepted {
        true => Said::Accepted,
        false => Said::Unknown,
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
    record: &Record,
    mistake: Option<Mistake>,
) -> Rotation {
    let view = &pass.view;
    let open = view.rotation.map(|rotating| Open {
        token: token(rotating.token),
        known: known(process, pass, mistake),
    });
    let first_look = !view.looked_at && open.is_none();
    let may = !view.deleting && !view.spec.suspend && matches!(record, Record::Bound(_));
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

fn known(process: &Process, pass: &Pass, mistake: Option<Mistake>) -> Sent {
    let Some(known) = &process.rotation else {
        return Sent::MayRun;
    };
    match known.said {
        Said::Unsent => Sent::Unsent {
            in_time: pass.record_in_time,
        },
        Said::Refused => Sent::Refused,
        Said::Accepted if known.long_ago => Sent::NotApplied,
        // An earlier run told this; it stays told.
        Said::Accepted
            if pass.view.shown == Shown::NotApplied(known.record.token)
                && mistake != Some(Mistake::ToldAnew) =>
        {
            Sent::NotApplied
        }
        Said::Accepted => Sent::Accepted,
        Said::Unknown if known.over || mistake == Some(Mistake::ResentAtOnce) => Sent::Over,
        Said::Unknown => Sent::MayRun,
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

/// Writes the record.
pub fn record(system: &System, world: &mut World, p: usize, asked: &plan::Token, luck: Luck) {
    let pass = pass(world, p);
    let Some(Verified { no: before, .. }) = pass.verified else {
        return abandon(world, p);
    };
    let view = pass.view;
    let record = Rotating {
        token: token_no(asked),
        before,
        start: world.records,
        accepted: false,
    };
    world.records += 1;
    // What the vendor said yes to is not asked for again, though another token takes its place.
    let replaced = view
        .rotation
        .filter(|open| open.accepted && open.token != SCHEDULED)
        .filter(|_| system.mistake != Some(Mistake::ReplacedUnacknowledged));
    world.processes[p].rotation = None;
    let unrecorded = system.mistake == Some(Mistake::RotationUnrecorded);
    let blind = system.mistake == Some(Mistake::RecordWithoutVersion);
    if unrecorded {
        self::pass(world, p).view.rotation = Some(record);
    }
    if unrecorded
        || write(world, p, luck, blind, |object| {
            object.rotation = Some(record);
            object.handled = replaced.map_or(object.handled, |open| Some(open.token));
        })
    {
        world.processes[p].rotation = Some(remembered(view.uid, record, Said::Unsent));
        let pass = self::pass(world, p);
        pass.record_in_time = true;
        if let Vendor::Found(found) = &mut pass.vendor {
            found.rotated = false;
        }
    }
}

/// Sends the rotation, if its permit is there.
pub fn send(system: &System, world: &mut World, p: usize, client: ClientNo) {
    let pass = pass(world, p);
    let (view, proven) = (pass.view, pass.preflight);
    let unproven = system.mistake == Some(Mistake::PreflightSkipped);
    if !std::mem::take(&mut pass.permit) && !unproven {
        pass.record_in_time = false;
        pass.preflight = proven && system.mistake == Some(Mistake::PreflightOutlivesPermit);
        return;
    }
    pass.record_in_time = false;
    pass.awaits = true;
    let Some(record) = view.rotation else {
        return;
    };
    call(world, client);
    if !proven {
        world.broken.insert(Broken::SentUnproven);
    }
    let open = |pending: &Pending| pending.token == record.token;
    let answered = world.accepted.contains(&record.token) && record.token != SCHEDULED;
    if world.pending.iter().any(open) || answered || view.handled == Some(record.token) {
        world.broken.insert(Broken::RotatedAgain);
    }
    let process = &mut world.processes[p];
    process.due |= system.mistake != Some(Mistake::SenderLooksAway);
    if let Some(known) = &mut process.rotation {
        known.said = Said::Unknown;
    }
    world.pending.push(Pending {
        client,
        token: record.token,
        by: Some(p),
    });
}

/// The replies that may come now.
pub fn replies(world: &World, p: usize, actions: &mut Vec<Action>) {
    let left = &world.left;
    let open = world.pending.iter().any(|pending| pending.by == Some(p));
    let mut offer = |possible: bool, reply: Reply| {
        if possible {
            actions.push(Action::Reply(p, reply));
        }
    };
    offer(true, Reply::Rotated);
    offer(open && left.lags > 0, Reply::Lagging);
    offer(open && left.vendor > 0, Reply::Ignored);
    offer(open && left.vendor > 0, Reply::Refused);
    offer(left.vendor > 0, Reply::Silent);
}

/// The reply arrives. Nothing in it is believed but that the vendor said yes, or did not do it.
pub fn reply(system: &System, world: &mut World, p: usize, reply: Reply) {
    let open = world.pending.iter().position(|one| one.by == Some(p));
    let said = match reply {
        Reply::Rotated | Reply::Lagging => {
            if let Some(index) = open {
                carry_out(world, index, reply == Reply::Lagging);
            }
            Said::Accepted
        }
        Reply::Ignored | Reply::Refused => {
            world.left.vendor -= 1;
            if let Some(index) = open {
                world.pending.remove(index);
            }
            match reply {
                Reply::Ignored => Said::Accepted,
                _ => Said::Refused,
            }
        }
        Reply::Silent => {
            world.left.vendor -= 1;
            unawaited(world, p);
            Said::Unknown
        }
    };
    if let Some(known) = &mut world.processes[p].rotation {
        known.said = said;
    }
    let pass = pass(world, p);
    pass.awaits = false;
    if system.mistake == Some(Mistake::BodyTrusted)
        && said == Said::Accepted
        && let (Vendor::Found(found), Some(verified)) = (&mut pass.vendor, &mut pass.verified)
    {
        found.rotated = true;
        verified.no += 1;
        return;
    }
    pass.vendor = Vendor::NotAsked;
    if said == Said::Refused {
        pass.stop = Some(Reason::VendorThrottled);
    }
}

/// Nobody waits for the reply any more.
pub fn unawaited(world: &mut World, p: usize) {
    for pending in &mut world.pending {
        if pending.by == Some(p) {
            pending.by = None;
        }
    }
}

fn carry_out(world: &mut World, index: usize, lagging: bool) {
    let Pending { client, token, .. } = world.pending.remove(index);
    world.carried_out.push(token);
    world.left.lags -= u8::from(lagging);
    rotate(world, client, lagging);
}

fn rotate(world: &mut World, client: ClientNo, lagging: bool) {
    let client = world.client(client);
    client.secret += 1;
    if !lagging {
        client.shown = client.secret;
    }
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
        record.accepted = matches!(known, Sent::Accepted | Sent::NotApplied);
        return;
    }
    if record.token != SCHEDULED {
        object.handled = Some(record.token);
    }
    object.due = false;
    object.rotation = None;
}

/// What may happen to rotations by themselves: they are carried out late or not at all, and time passes.
pub fn actions(world: &World, actions: &mut Vec<Action>) {
    for (index, pending) in world.pending.iter().enumerate() {
        actions.push(Action::CarryOut(index, false));
        if world.left.lags > 0 {
            actions.push(Action::CarryOut(index, true));
        }
        if pending.by.is_none() {
            actions.push(Action::Lapse(index));
        }
    }
    let lags = lags(world);
    if lags {
        actions.push(Action::CatchUp);
    }
    let quiet = world.pending.is_empty() && !lags;
    let rotated = world.clients.iter().any(|client| client.secret > 0);
    for (p, process) in world.processes.iter().enumerate() {
        if process.pass.is_some() {
            continue;
        }
        if let Some(known) = &process.rotation {
            let waits = known.said == Said::Unknown && known.unmoved && !known.minute;
            if waits && !may_be_carried_out(world, known) {
                actions.push(Action::Minute(p));
            }
            if known.said == Said::Accepted && !known.long_ago && quiet {
                actions.push(Action::LongAgo(p));
            }
        }
    }
    // The last one of all the hourly verifications, when no rotation can be sent any more.
    let first = &world.processes[0];
    let checked = first.checked || first.pass.is_some();
    if world.calm && quiet && rotated && !checked && !sends(world) {
        actions.push(Action::FallDue(0));
    }
}

/// A rotation without an answer is carried out within a minute of its record, and GET shows it by then. Only after a yes
/// that is recorded may GET take longer.
fn may_be_carried_out(world: &World, known: &Remembered) -> bool {
    let said = known.record.accepted || {
        let stored = world.object.and_then(|object| object.rotation);
        stored.is_some_and(|stored| stored.start == known.record.start && stored.accepted)
    };
    !world.pending.is_empty() || sends(world) || (lags(world) && !said)
}

/// Whether a process may send a rotation whose record it has written, or waits for the reply.
fn sends(world: &World) -> bool {
    let mut passes = world.processes.iter().filter_map(|p| p.pass.as_ref());
    passes.any(|pass| pass.permit || pass.record_in_time || pass.awaits)
}

fn lags(world: &World) -> bool {
    let behind = |client: &super::world::Client| client.shown != client.secret;
    world.clients.iter().any(behind)
}

/// Lets one of them happen. False if this is something else.
pub fn apply(world: &mut World, action: &Action) -> bool {
    match action {
        Action::CarryOut(index, lagging) => carry_out(world, *index, *lagging),
        Action::Lapse(index) => {
            world.pending.remove(*index);
        }
        Action::CatchUp => {
            for client in &mut world.clients {
                client.shown = client.secret;
            }
            world.wake();
        }
        Action::Minute(p) => {
            let process = &mut world.processes[*p];
            process.awake = true;
            if let Some(known) = &mut process.rotation {
                known.minute = true;
            }
        }
        Action::LongAgo(p) => {
            let process = &mut world.processes[*p];
            process.awake = true;
            if let Some(known) = &mut process.rotation {
                known.long_ago = true;
            }
        }
        Action::FallDue(p) => {
            let process = &mut world.processes[*p];
            process.awake = true;
            process.due = true;
            process.checked = true;
        }
        Action::RotateByHand => {
            world.left.hands -= 1;
            if let Some(client) = world.object.and_then(|object| object.client) {
                rotate(world, client, false);
            }
        }
        Action::Crash(p) => {
            world.left.crashes -= 1;
            unawaited(world, *p);
            restart(&mut world.processes[*p]);
        }
        _ => return false,
    }
    true
}

/// What GET answers about a client of this process's, and what follows for its open rotation.
pub fn answered(world: &mut World, p: usize, client: ClientNo, view: &Object) -> Vendor {
    let super::world::Client { active, shown, .. } = *world.client(client);
    let rotated = compare(&mut world.processes[p], view, shown);
    let mut vendor = found(view, active, true);
    if let Vendor::Found(found) = &mut vendor {
        found.rotated = rotated;
    }
    pass(world, p).verified = Some(Verified {
        client,
        active,
        no: shown,
    });
    vendor
}
