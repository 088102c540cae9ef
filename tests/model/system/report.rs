//! The end of a pass: what status becomes, written once and only if it differs.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{
    self, AttemptState, AutoRetry, ConnectionFacts, MessageContext, Report, Requeue, Vendor,
};
use provident_core::vendor::outcome::Ambiguity;

use super::mistakes::Mistake;
use super::names::{attempt_id, attempt_no, client_no, declared};
use super::object::{Claim, Object, Secret, Shown};
use super::observe::bound_to;
use super::process::{Pass, Process, Verified};
use super::properties::Broken;
use super::requests::{pass, write};
use super::world::{AttemptNo, World};
use super::{Fault, System, adoption, rotation};

/// What a pass writes.
pub struct Written {
    /// The object with its new status.
    object: Object,
    /// It says `Ready=True`.
    ready: bool,
    /// It names the version of the Secret.
    names_secret: bool,
}

/// The status that a pass leads to; `None` if the object has it already.
pub fn written(system: &System, world: &World, p: usize) -> Option<Written> {
    let process = &world.processes[p];
    let pass = process.pass.as_ref()?;
    let report = report(pass);
    let is_true = |update: &Option<plan::ConditionUpdate>| {
        update
            .as_ref()
            .is_some_and(|(status, ..)| *status == ConditionStatus::True)
    };
    let mut object = pass.view;
    let recorded = plan::recorded_state(&pass.facts);
    if let Some(client) = recorded.client {
        object.client = Some(client_no(&client));
        object.bound = true;
    }
    object.attempt = recorded
        .attempt
        .map(|id| claim(process, pass, attempt_no(&id)));
    if let Some((status, reason, _)) = &report.ready {
        object.shown = match reason {
            _ if *status == ConditionStatus::True => Shown::Ready,
            Reason::CreateOutcomeUnknown | Reason::ExistingClientReturned => Shown::Held,
            Reason::SpecRejected => Shown::Rejected,
            Reason::Pending => Shown::Waiting,
            _ => Shown::NotReady,
        };
    }
    object.observed |= report.ready.is_some();
    if !pass.view.observed {
        object.handled = pass.view.token;
    }
    let stored = is_true(&report.secret_ready);
    if stored {
        object.stored = pass.verified.map(|verified| verified.no);
    }
    if stored || system.mistake == Some(Mistake::AcknowledgedEarly) {
        rotation::close(&pass.facts, &mut object);
    }
    if let Vendor::Found(_) = &pass.facts.vendor {
        object.not_applied = report
            .synced
            .as_ref()
            .is_some_and(|(_, reason, _)| *reason == Reason::UpdateNotApplied);
    }
    let names_secret = stored
        && match pass.secret {
            Some(Secret::Ours { verified, .. }) => !verified,
            Some(Secret::Forged { .. } | Secret::Handmade(_) | Secret::Stranger) | None => false,
        };
    let always = system.mistake == Some(Mistake::WritesAlways);
    let written = Written {
        object,
        ready: is_true(&report.ready),
        names_secret,
    };
    (object != pass.view || names_secret || always).then_some(written)
}

fn report(pass: &Pass) -> Report {
    let context = MessageContext {
        namespace: "",
        name: "",
        secret: "",
        vendor_name: "",
        attempt_time: "",
    };
    plan::report(declared(pass.view.spec), &pass.facts, context)
}

/// The record of an attempt: as it is, or put back after its retry was dropped or status was emptied. An unknown outcome is
/// recorded, so that no other process waits for it.
fn claim(process: &Process, pass: &Pass, id: AttemptNo) -> Claim {
    let recorded = pass.view.attempt.filter(|claim| claim.id == id);
    let mut claim = recorded.unwrap_or(Claim {
        id,
        retry_of: process.own(id).and_then(|own| own.retry_of),
        outcome: None,
    });
    if let Some(attempt) = pass
        .facts
        .attempt
        .as_ref()
        .filter(|it| it.id == attempt_id(id))
    {
        claim.outcome = match attempt.state {
            AttemptState::Unknown(ambiguity) => Some(ambiguity),
            AttemptState::Abandoned => Some(Ambiguity::NoAnswer),
            AttemptState::InProgress
            | AttemptState::Unsent { .. }
            | AttemptState::NotCreated(_)
            | AttemptState::Created(_) => claim.outcome,
        };
    }
    claim
}

/// A merge patch changes only what the report changes.
fn patch(stored: &mut Object, before: &Object, after: &Object) {
    fn set<T: PartialEq>(stored: &mut T, before: T, after: T) {
        if before != after {
            *stored = after;
        }
    }
    set(&mut stored.client, before.client, after.client);
    set(&mut stored.bound, before.bound, after.bound);
    set(&mut stored.attempt, before.attempt, after.attempt);
    set(&mut stored.shown, before.shown, after.shown);
    set(&mut stored.observed, before.observed, after.observed);
    set(
        &mut stored.not_applied,
        before.not_applied,
        after.not_applied,
    );
    set(&mut stored.stored, before.stored, after.stored);
    set(&mut stored.handled, before.handled, after.handled);
    set(&mut stored.due, before.due, after.due);
    set(&mut stored.rotation, before.rotation, after.rotation);
}

/// Ends the pass with its one status write.
pub fn end(system: &System, world: &mut World, p: usize, fault: Fault) {
    let ended = pass(world, p).clone();
    let asked = plan::was_verified(&ended.facts);
    let Some(written) = written(system, world, p) else {
        check_rejection(world, &ended, ended.view.shown);
        let connection_changed =
            (ended.facts.connection == ConnectionFacts::Usable) != world.connected;
        world.processes[p].awake = comes_back(&ended) || connection_changed;
        world.processes[p].pass = None;
        world.processes[p].verified(asked);
        return;
    };
    if fault != Fault::None {
        world.left.api -= 1;
    }
    let object = written.object;
    let unguarded = system.mistake == Some(Mistake::StatusWithoutVersion);
    let stored = write(world, p, fault, unguarded, |stored| {
        patch(stored, &ended.view, &object);
    });
    if !stored {
        return;
    }
    check(world, &ended, &written);
    check_rejection(world, &ended, object.shown);
    if let Some(open) = object.rotation.filter(|open| open.accepted)
        && !world.accepted.contains(&open.token)
    {
        world.accepted.push(open.token);
    }
    adoption::recorded(world, &object, &ended.facts.adoption);
    if let Some(Secret::Ours { verified, .. }) = &mut world.secret
        && written.names_secret
        && ended.secret_current
    {
        *verified = true;
    }
    let process = &mut world.processes[p];
    process.verified(asked);
    let former = ended
        .facts
        .attempt
        .as_ref()
        .map(|former| attempt_no(&former.id));
    let open = object.attempt.map(|claim| claim.id);
    if let Some(former) = former.filter(|former| Some(*former) != open) {
        process.forget(former);
    }
    process.pass = None;
}

/// Whether an object whose status does not change is reconciled again before anything else happens to it. What would only
/// repeat the same pass does not count.
fn comes_back(ended: &Pass) -> bool {
    let requeued = match report(ended).requeue {
        Requeue::Now => true,
        Requeue::AttemptOver => ended.facts.auto_retry == AutoRetry::Early,
        Requeue::Backoff | Requeue::After(_) | Requeue::RotationOver | Requeue::Verification => {
            false
        }
    };
    let waits = [
        Reason::SpecRejected,
        Reason::AdoptionRejected,
        Reason::BindingMismatch,
    ];
    let blocked = ended.facts.blocked.as_ref();
    let passing = blocked.is_some_and(|blocked| !waits.contains(&blocked.reason));
    requeued || passing || !ended.view_current || !ended.secret_current
}

fn check(world: &mut World, ended: &Pass, written: &Written) {
    let object = &written.object;
    if written.ready && !is_true(world, ended, object) {
        world.broken.insert(Broken::ReadyUntrue);
    }
    let other = bound_to(ended.secret, object.uid).map(|id| client_no(&id));
    let recorded = object.client.filter(|_| ended.view.client.is_none());
    if recorded.is_some_and(|client| other.is_some_and(|other| other != client)) {
        world.broken.insert(Broken::ClientsMixed);
    }
    let closed = ended.view.rotation.is_some() && object.rotation.is_none();
    if closed && !holds(ended, object) {
        world.broken.insert(Broken::AcknowledgedEarly);
    }
    let adopted = match ended.facts.adoption {
        plan::AdoptionFact::Proven { .. } => true,
        plan::AdoptionFact::None
        | plan::AdoptionFact::Refused(..)
        | plan::AdoptionFact::Proof { .. } => false,
    };
    if ended.view.attempt != object.attempt && adopted {
        let open = ended.view.attempt.map(|claim| claim.id);
        let flies = |q: &Process| q.in_flight().map(|own| own.id) == open;
        if open.is_some() && world.processes.iter().any(flies) {
            world.broken.insert(Broken::AttemptForgotten);
        }
    }
}

/// A create that the vendor rejected as invalid must be shown as such, else it is sent again for ever.
fn check_rejection(world: &mut World, ended: &Pass, shown: Shown) {
    if ended.rejected && !ended.view.deleting && shown != Shown::Rejected {
        world.broken.insert(Broken::RejectionHidden);
    }
}

/// Whether a report of `Ready=True` is what this pass saw: the Secret holds the client's secret, and the client is as declared.
fn is_true(world: &World, ended: &Pass, object: &Object) -> bool {
    let Some(Verified { client, active, no }) = ended.verified.filter(|_| !ended.outdated) else {
        return false;
    };
    let real = no <= world.clients[usize::from(client)].secret;
    let declared = object.spec.active.unwrap_or(true) == active;
    let recorded = object.bound && object.client == Some(client);
    real && declared && recorded && holds(ended, object)
}

/// Whether the Secret holds what the vendor returned in this pass.
fn holds(ended: &Pass, object: &Object) -> bool {
    let Some(verified) = ended.verified else {
        return false;
    };
    match ended.secret {
        Some(Secret::Ours {
            owner, client, no, ..
        }) => owner == Some(object.uid) && (client, no) == (verified.client, verified.no),
        Some(Secret::Forged { .. } | Secret::Handmade(_) | Secret::Stranger) | None => false,
    }
}
