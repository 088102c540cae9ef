//! What a process does: it observes facts, and executes the plan's steps, one request at a time.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{self, Conflict, MessageContext, Observation, Step};

use super::observe::{OtherHolder, answer, facts, other_holder, read_secret, secret, spec};
use super::world::{Object, Pass, Shown, World};
use super::{Action, Mistake, TwoObjects};

/// Everything that process `p` may do for object `o` now.
pub fn actions(model: &TwoObjects, world: &World, p: usize, o: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    if process.cached[o] != world.objects[o] {
        actions.push(Action::Deliver(p, o));
    }
    match &process.passes[o] {
        None if process.awake[o]
            && process.cached[o].is_some()
            && (p == o || model.processes == 1) =>
        {
            actions.push(Action::Begin(p, o));
        }
        None => {}
        Some(pass) => actions.push(match plan::next(spec(), &pass.facts) {
            Some(step) => Action::Take(p, o, step),
            None => Action::Report(p, o),
        }),
    }
}

/// Lets it happen.
pub fn apply(model: &TwoObjects, world: &mut World, action: &Action) {
    match action {
        Action::Deliver(p, o) => {
            let process = &mut world.processes[*p];
            process.cached[*o] = world.objects[*o];
            process.recorded[*o] = false;
            // A refused adoption is retried with backoff, a client in use is verified at the next period.
            process.awake = [true; 2];
        }
        Action::Begin(p, o) => begin(model, world, *p, *o),
        Action::Take(p, o, step) => take(model, world, *p, *o, step),
        Action::Report(p, o) => report(world, *p, *o),
        Action::Delete(_) | Action::Crash(_) | Action::Calm => {}
    }
}

fn begin(model: &TwoObjects, world: &mut World, p: usize, o: usize) {
    let process = &mut world.processes[p];
    process.awake[o] = false;
    let Some(view) = process.cached[o] else {
        return;
    };
    let ignored = match model.mistake {
        Some(Mistake::ConflictIgnored) => view.deleting,
        Some(Mistake::YoungerContinues) => !view.deleting,
        Some(Mistake::ConflictUnchecked) | None => false,
    };
    let conflict = match other_holder(process, o) {
        OtherHolder::Yes { older } if view.bound && !ignored => {
            if older {
                Conflict::WithOlder
            } else {
                Conflict::WithYounger
            }
        }
        OtherHolder::Yes { .. } | OtherHolder::No | OtherHolder::Unclear => Conflict::None,
    };
    process.passes[o] = Some(Pass {
        view,
        facts: facts(&view, conflict),
    });
}

fn take(model: &TwoObjects, world: &mut World, p: usize, o: usize, step: &Step) {
    let observation = execute(model, world, p, o, step);
    let process = &mut world.processes[p];
    match (observation, &mut process.passes[o]) {
        (Some(observation), Some(pass)) => pass.facts.apply(step, observation),
        _ => process.end(o, true),
    }
}

/// `None` if the pass ends over it.
fn execute(
    model: &TwoObjects,
    world: &mut World,
    p: usize,
    o: usize,
    step: &Step,
) -> Option<Observation> {
    let pass = world.processes[p].passes[o].as_ref()?;
    let view = pass.view;
    match step {
        Step::ReadSecret => read_secret(world, p, o),
        Step::AddFinalizer => write(world, p, o, |object| object.finalizer = true)
            .then_some(Observation::FinalizerAdded),
        Step::Adopt(_) => {
            let secret = pass.facts.secret.clone();
            let process = &mut world.processes[p];
            let free = process.lock.is_none_or(|holder| holder == o)
                && matches!(other_holder(process, o), OtherHolder::No);
            free.then(|| {
                process.lock = Some(o);
                Observation::Client(answer(world.active, secret))
            })
        }
        Step::Verify(_) => {
            let secret = pass.facts.secret.clone();
            Some(Observation::Client(answer(world.active, secret)))
        }
        // The object is read again right before, as before a deactivation.
        Step::WriteSecret(_) => {
            let lives = world.objects[o].is_some_and(|object| !object.deleting);
            lives.then(|| {
                world.secrets[o] = true;
                Observation::Secret(secret())
            })
        }
        Step::Deactivate(_) => deactivate(model, world, p, o),
        Step::Release => {
            if world.objects[o] == Some(view) {
                world.store(o, None);
            }
            None
        }
        Step::Preflight
        | Step::Claim { .. }
        | Step::Create
        | Step::Update(..)
        | Step::RestartWorkloads
        | Step::RecordRotation(_)
        | Step::Rotate(_)
        | Step::DisownSecret => unreachable!("no object here needs {step:?}"),
    }
}

/// Before the request, the process waits for an adoption that runs, and asks the API server who has the client.
fn deactivate(model: &TwoObjects, world: &mut World, p: usize, o: usize) -> Option<Observation> {
    let held = world.is_held_by_other(o);
    let unchecked = match model.mistake {
        Some(Mistake::ConflictUnchecked | Mistake::ConflictIgnored) => true,
        Some(Mistake::YoungerContinues) | None => false,
    };
    if world.objects[o].is_none() || (!unchecked && world.processes[p].lock.is_some()) {
        return None;
    }
    if held && !unchecked {
        return Some(Observation::HeldElsewhere);
    }
    world.taken |= held;
    world.active = false;
    Some(Observation::Deactivated)
}

fn report(world: &mut World, p: usize, o: usize) {
    let Some(pass) = world.processes[p].passes[o].clone() else {
        return;
    };
    let context = MessageContext {
        namespace: "",
        name: "",
        secret: "",
        vendor_name: "",
        attempt_time: "",
    };
    let ready = plan::report(spec(), &pass.facts, context).ready;
    let mut object = pass.view;
    object.bound |= plan::recorded_state(&pass.facts).client.is_some();
    if let Some((status, reason, _)) = ready {
        object.shown = match reason {
            _ if status == ConditionStatus::True => Shown::Ready,
            Reason::ClientInUse => Shown::InUse,
            _ => Shown::NotReady,
        };
    }
    let written = object == pass.view || write(world, p, o, |stored| *stored = object);
    let process = &mut world.processes[p];
    process.recorded[o] |= written && object.bound && process.cached[o] != Some(object);
    process.end(o, !written);
}

fn write(world: &mut World, p: usize, o: usize, edit: impl FnOnce(&mut Object)) -> bool {
    let view = world.processes[p].passes[o].as_ref().map(|pass| pass.view);
    let Some(mut object) = view.filter(|view| world.objects[o] == Some(*view)) else {
        return false;
    };
    edit(&mut object);
    world.store(o, Some(object));
    if let Some(pass) = &mut world.processes[p].passes[o] {
        pass.view = object;
    }
    true
}
