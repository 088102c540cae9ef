//! The two steps, the reply, and what GET answers afterwards.

use provident_core::api::Reason;
use provident_core::plan::{self, Vendor};

use super::super::mistakes::Mistake;
use super::super::process::Verified;
use super::super::properties::Broken;
use super::super::requests::{abandon, pass, write};
use super::super::steps::{call, found};
use super::super::world::{Client, ClientNo, Object, World};
use super::super::{Action, Luck, System};
use super::vendor::{carry_out, unawaited};
use super::{Pending, Reply, Rotating, SCHEDULED, Said, compare, remembered, token_no};

/// Writes the record.
pub fn record(system: &System, world: &mut World, p: usize, asked: &plan::Token, luck: Luck) {
    let Some(Verified { no: before, .. }) = pass(world, p).verified else {
        return abandon(world, p);
    };
    let view = pass(world, p).view;
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
        pass(world, p).view.rotation = Some(record);
    }
    if unrecorded
        || write(world, p, luck, blind, |object| {
            object.rotation = Some(record);
            object.handled = replaced.map_or(object.handled, |open| Some(open.token));
        })
    {
        world.processes[p].rotation = Some(remembered(view.uid, record, Said::Unsent));
        let pass = pass(world, p);
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

/// What GET answers about a client of this process's, and what follows for its open rotation.
pub fn answered(world: &mut World, p: usize, client: ClientNo, view: &Object) -> Vendor {
    let Client { active, shown, .. } = *world.client(client);
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
