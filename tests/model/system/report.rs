//! The end of a pass: what status says then, written once and only if it differs.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{self, Blocked, MessageContext, Requeue, Vendor};

use super::mistakes::Mistake;
use super::names::{attempt_no, client_no, declared};
use super::process::{Pass, Progress, Verified};
use super::properties::Broken;
use super::requests::{pass, write};
use super::world::{Claim, Object, Secret, Shown, World};
use super::{Luck, System, adoption, rotation};

/// The status that the pass leads to, and whether it names the Secret's version; `None` if that is what stands there.
pub fn report(system: &System, world: &World, p: usize) -> Option<(Object, bool, bool)> {
    let process = &world.processes[p];
    let pass = process.pass.as_ref()?;
    let facts = process.facts(pass, world.connected, system);
    let stop = pass.stop.map(|reason| Blocked {
        ready: provident_core::api::ConditionStatus::False,
        reason,
        message: String::new(),
        retry: Requeue::Backoff,
    });
    let texts = MessageContext {
        namespace: "",
        name: "",
        secret: "",
        vendor_name: "",
        attempt_time: "",
    };
    let told = plan::report(declared(pass.view.spec), &facts, stop.as_ref(), texts);
    let records = plan::recorded_state(&facts);
    let mut object = pass.view;
    if let Some(client) = records.client {
        object.client = Some(client_no(&client));
        object.bound = true;
    }
    object.attempt = records.attempt.map(|id| {
        let id = attempt_no(&id);
        let put_back = Claim { id, retry_of: None };
        pass.view.attempt.filter(|c| c.id == id).unwrap_or(put_back)
    });
    let ready = |status: &ConditionStatus| *status == ConditionStatus::True;
    if let Some((status, reason, _)) = &told.ready {
        object.shown = match reason {
            _ if ready(status) => Shown::Ready,
            Reason::CreateOutcomeUnknown | Reason::ExistingClientReturned => Shown::Held,
            Reason::SpecRejected => Shown::Rejected,
            Reason::UpdateNotApplied => pass
                .view
                .rotation
                .map_or(Shown::NotReady, |open| Shown::NotApplied(open.token)),
            _ => Shown::NotReady,
        };
    }
    object.looked_at |= told.ready.is_some();
    if !pass.view.looked_at {
        object.handled = pass.view.token;
    }
    let says_ready = told.ready.is_some_and(|(status, ..)| ready(&status));
    let stored = told.secret_ready.is_some_and(|(status, ..)| ready(&status));
    rotation::close(system, process, pass, stored, &mut object);
    let verified = matches!(pass.secret, Some(Secret::Ours { verified: true, .. }));
    let marks = stored && !verified;
    let always = system.mistake == Some(Mistake::WritesAlways);
    (object != pass.view || marks || always).then_some((object, says_ready, marks))
}

/// Ends the pass with its one status write.
pub fn end(system: &System, world: &mut World, p: usize, luck: Luck) {
    let Some((object, says_ready, marks)) = report(system, world, p) else {
        let pass = pass(world, p);
        let waits = [
            Reason::SpecRejected,
            Reason::AdoptionRejected,
            Reason::BindingMismatch,
        ];
        let asked = pass.vendor != Vendor::NotAsked;
        let passing = pass.stop.is_some_and(|reason| !waits.contains(&reason));
        let awake = passing || !pass.current || !pass.secret_current;
        world.processes[p].awake = awake;
        world.processes[p].pass = None;
        world.processes[p].verified(asked);
        return;
    };
    if luck != Luck::Good {
        world.left.api -= 1;
    }
    let facts = pass(world, p).clone();
    let blind = system.mistake == Some(Mistake::StatusWithoutVersion);
    let written = write(world, p, luck, blind, |stored| {
        stored.client = object.client;
        stored.bound = object.bound;
        stored.attempt = object.attempt;
        stored.shown = object.shown;
        stored.looked_at = object.looked_at;
        stored.handled = object.handled;
        stored.rotation = object.rotation;
        stored.due = object.due;
    });
    if !written {
        return;
    }
    if says_ready && !is_true(world, &facts, &object) {
        world.broken.insert(Broken::ReadyUntrue);
    }
    if facts.view.rotation.is_some() && object.rotation.is_none() && !holds(&facts, &object) {
        world.broken.insert(Broken::AcknowledgedEarly);
    }
    if facts.view.attempt != object.attempt && facts.adopted.is_some() {
        let open = facts.view.attempt.map(|claim| claim.id);
        let flies = |q: &super::process::Process| q.in_flight().map(|m| m.id) == open;
        if open.is_some() && world.processes.iter().any(flies) {
            world.broken.insert(Broken::AttemptForgotten);
        }
    }
    if let Some(open) = object.rotation.filter(|open| open.accepted)
        && !world.accepted.contains(&open.token)
    {
        world.accepted.push(open.token);
    }
    adoption::bound(world, &object, facts.adopted);
    if let Some(Secret::Ours { verified, .. }) = &mut world.secret
        && marks
        && facts.secret_current
    {
        *verified = true;
    }
    world.processes[p].verified(facts.vendor != Vendor::NotAsked);
    let named = object.attempt.map(|claim| claim.id);
    world.processes[p]
        .memory
        .retain(|memory| match memory.state {
            Progress::Created(client) => object.client != Some(client),
            Progress::Late(_) => true,
            _ => named == Some(memory.id),
        });
    world.processes[p].pass = None;
}

/// Whether what a report says of a client is what this pass saw: the Secret holds it, and it is as declared.
fn is_true(world: &World, facts: &Pass, object: &Object) -> bool {
    let Some(Verified { client, active, no }) = facts.verified else {
        return false;
    };
    let real = no <= world.clients[usize::from(client)].secret;
    let declared = object.spec.active.unwrap_or(true) == active;
    let recorded = object.bound && object.client == Some(client);
    real && declared && recorded && holds(facts, object)
}

/// Whether the Secret holds what the vendor answered in this pass.
fn holds(facts: &Pass, object: &Object) -> bool {
    let (
        Some(verified),
        Some(Secret::Ours {
            owner, client, no, ..
        }),
    ) = (facts.verified, facts.secret)
    else {
        return false;
    };
    owner == Some(object.uid) && (client, no) == (verified.client, verified.no)
}
