//! The two steps, and the reply.

use provident_core::api::Reason;
use provident_core::plan::{self, Observation, Step};

use super::super::apply::{take_in, why};
use super::super::mistakes::Mistake;
use super::super::names::client_id;
use super::super::process::Verified;
use super::super::properties::Broken;
use super::super::requests::{abandon, pass, write};
use super::super::steps::call;
use super::super::world::{ClientNo, World};
use super::super::{Action, Fault, System};
use super::vendor::{carry_out, unawaited};
use super::{Pending, Progress, Record, Reply, SCHEDULED, known, token_no};

/// Writes the record. `None` if the pass ended over it.
pub fn record(
    system: &System,
    world: &mut World,
    p: usize,
    requested: &plan::Token,
    fault: Fault,
) -> Option<Observation> {
    let Some(Verified { no: previous, .. }) = pass(world, p).verified else {
        abandon(world, p);
        return None;
    };
    let view = pass(world, p).view;
    let record = Record {
        token: token_no(requested),
        previous,
        start: world.records,
        accepted: false,
        not_applied: false,
    };
    world.records += 1;
    // A token that the vendor accepted is not requested again, although another one takes its place.
    let replaced = view
        .rotation
        .filter(|open| open.accepted && open.token != SCHEDULED)
        .filter(|_| system.mistake != Some(Mistake::ReplacedUnacknowledged));
    world.processes[p].rotation = None;
    let unrecorded = system.mistake == Some(Mistake::RotationUnrecorded);
    let unguarded = system.mistake == Some(Mistake::RecordWithoutVersion);
    if unrecorded {
        pass(world, p).view.rotation = Some(record);
    }
    let written = unrecorded
        || write(world, p, fault, unguarded, |object| {
            object.rotation = Some(record);
            object.handled = replaced.map_or(object.handled, |open| Some(open.token));
        });
    // A number that was not stored is used again: that merges equal states.
    if !unrecorded && world.object.and_then(|object| object.rotation) != Some(record) {
        world.records -= 1;
    }
    if !written {
        return None;
    }
    world.processes[p].rotation = Some(known(view.uid, record, Progress::Unsent));
    pass(world, p).record_recent = true;
    Some(Observation::RotationRecorded)
}

/// Sends the rotation; its reply is an action of its own. An observation says that it was not sent.
pub fn send(system: &System, world: &mut World, p: usize, client: ClientNo) -> Option<Observation> {
    let pass = pass(world, p);
    let view = pass.view;
    let unproven = system.mistake == Some(Mistake::PreflightSkipped);
    let permit = std::mem::take(&mut pass.permit);
    let recent = std::mem::take(&mut pass.record_recent);
    let record = view.rotation.filter(|_| recent && (permit || unproven));
    let Some(record) = record else {
        return Some(Observation::NotSent);
    };
    pass.awaits_reply = true;
    pass.outdated = true;
    call(world, client);
    if !permit {
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
        known.progress = Progress::Unknown;
    }
    world.pending.push(Pending {
        client,
        token: record.token,
        by: Some(p),
    });
    None
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
    offer(left.vendor > 0, Reply::NoAnswer);
}

/// The reply arrives. The process learns from it only that the vendor accepted the rotation, or did not carry it out.
pub fn reply(system: &System, world: &mut World, p: usize, reply: Reply) {
    let open = world.pending.iter().position(|one| one.by == Some(p));
    let (progress, observation) = match reply {
        Reply::Rotated | Reply::Lagging => {
            if let Some(index) = open {
                carry_out(world, index, reply == Reply::Lagging);
            }
            (Progress::Accepted, Observation::RotationAccepted)
        }
        Reply::Ignored => {
            drop_pending(world, open);
            (Progress::Accepted, Observation::RotationAccepted)
        }
        Reply::Refused => {
            drop_pending(world, open);
            let blocked = why(Reason::VendorThrottled);
            (Progress::Refused, Observation::RotationRefused(blocked))
        }
        Reply::NoAnswer => {
            world.left.vendor -= 1;
            unawaited(world, p);
            (Progress::Unknown, Observation::RotationUnanswered)
        }
    };
    if let Some(known) = &mut world.processes[p].rotation {
        known.progress = progress;
    }
    let pass = pass(world, p);
    pass.awaits_reply = false;
    let client = pass.verified.map_or(0, |verified| verified.client);
    take_in(system, pass, &Step::Rotate(client_id(client)), observation);
}

/// The vendor will not carry it out.
fn drop_pending(world: &mut World, index: Option<usize>) {
    world.left.vendor -= 1;
    if let Some(index) = index {
        world.pending.remove(index);
    }
}
