//! What happens to rotations without a process: the vendor carries them out, late or not at all, and time passes.

use super::super::Action;
use super::super::process::restart;
use super::super::world::{Client, ClientNo, World};
use super::{KnownRotation, Pending, Progress};

/// The process does not wait for the reply any more.
pub fn unawaited(world: &mut World, p: usize) {
    for pending in &mut world.pending {
        if pending.by == Some(p) {
            pending.by = None;
        }
    }
}

pub(super) fn carry_out(world: &mut World, index: usize, lagging: bool) {
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

/// What may happen now.
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
            let waits = known.progress == Progress::Unknown && known.unchanged && !known.minute;
            if waits && !may_be_carried_out(world, known) {
                actions.push(Action::Minute(p));
            }
            if known.progress == Progress::Accepted && !known.long_ago && quiet {
                actions.push(Action::LongAgo(p));
            }
        }
    }
    // One more of the hourly verifications, when no rotation can be sent any more.
    let first = &world.processes[0];
    let checked = first.final_verification || first.pass.is_some();
    if world.calm && quiet && rotated && !checked && !sends(world) {
        actions.push(Action::FallDue(0));
    }
}

/// An unanswered rotation is carried out within a minute of its record, or not at all, and GET shows it by then. GET may lag
/// longer only after the vendor accepted the rotation and status recorded that.
fn may_be_carried_out(world: &World, known: &KnownRotation) -> bool {
    let accepted = known.record.accepted || {
        let stored = world.object.and_then(|object| object.rotation);
        stored.is_some_and(|stored| stored.start == known.record.start && stored.accepted)
    };
    !world.pending.is_empty() || sends(world) || (lags(world) && !accepted)
}

/// Whether a process may send a rotation whose record it has written, or waits for the reply.
fn sends(world: &World) -> bool {
    let mut passes = world.processes.iter().filter_map(|p| p.pass.as_ref());
    passes.any(|pass| pass.permit || pass.record_recent || pass.awaits_reply)
}

fn lags(world: &World) -> bool {
    let behind = |client: &Client| client.shown != client.secret;
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
            process.final_verification = true;
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
