//! What a process does between two requests: it begins a pass, asks the plan for the next step, and ends the pass.

use std::sync::Arc;

use provident_core::plan::{self, AttemptState, Step};

use super::mistakes::Mistake;
use super::names::declared;
use super::object::{Claim, Object};
use super::process::{Process, Progress, restart};
use super::reply::Row;
use super::report::{end, written};
use super::requests::pass;
use super::steps::{faults, faults_left, take};
use super::world::{AttemptNo, World};
use super::{Action, Fault, From, System, create, observe, rotation, unstored};

/// Everything that process `p` may do now.
pub fn actions(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let left = &world.left;
    let Some(pass) = &process.pass else {
        return between(system, world, p, actions);
    };
    if pass.resolving {
        actions.push(Action::Resolve(p));
        return;
    }
    if system.mistake == Some(Mistake::AbandonedDuringPass) {
        watch(system, world, p, actions);
    }
    if process.in_flight().is_some() {
        actions.push(Action::Answer(p, Row::Created));
        if left.vendor > 0 {
            actions.extend(system.replies.iter().map(|row| Action::Answer(p, *row)));
        }
        return;
    }
    if pass.awaits_reply {
        return rotation::replies(world, p, actions);
    }
    let Some(step) = plan::next(declared(pass.view.spec), &pass.facts) else {
        actions.push(Action::Report(p, Fault::None));
        if left.api > 0 && pass.view_current && written(system, world, p).is_some() {
            for fault in [Fault::AnswerLost, Fault::RequestLost] {
                actions.push(Action::Report(p, fault));
            }
        }
        return;
    };
    system.coverage.reached(&step);
    let delayed = match step {
        Step::Create | Step::WriteSecret(_) => pass.claim_recent,
        Step::Rotate(_) => pass.record_recent,
        Step::ReadSecret
        | Step::Preflight
        | Step::AddFinalizer
        | Step::Claim { .. }
        | Step::Adopt(_)
        | Step::Verify(_)
        | Step::Update(..)
        | Step::RestartWorkloads
        | Step::RecordRotation(_)
        | Step::Deactivate(_)
        | Step::DisownSecret
        | Step::Release => false,
    };
    if delayed && left.api > 0 {
        actions.push(Action::Delay(p));
    }
    // A write that will be refused for its version meets no other fault.
    let guarded = match step {
        Step::AddFinalizer | Step::Claim { .. } | Step::RecordRotation(_) | Step::Release => true,
        Step::ReadSecret
        | Step::Preflight
        | Step::Create
        | Step::Adopt(_)
        | Step::Verify(_)
        | Step::Update(..)
        | Step::WriteSecret(_)
        | Step::RestartWorkloads
        | Step::Rotate(_)
        | Step::Deactivate(_)
        | Step::DisownSecret => false,
    };
    if faults_left(world, &step) > 0 && (!guarded || pass.view_current) {
        let faults = faults(&step).iter();
        actions.extend(faults.map(|fault| Action::Take(p, step.clone(), *fault)));
    }
    actions.push(Action::Take(p, step, Fault::None));
}

/// What it may do while it is in no pass.
fn between(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let left = &world.left;
    let mut unstored = !process.orphans.is_empty();
    for own in &process.attempts {
        if let Progress::Created(client) = own.progress {
            unstored = true;
            if !world.lives(own.uid) {
                actions.push(Action::ResolveGone(p, own.id, client));
            }
        }
    }
    for client in process.orphans.iter().filter(|_| world.connected) {
        actions.push(Action::DeactivateOrphan(p, *client, Fault::None));
        if left.vendor > 0 {
            actions.push(Action::DeactivateOrphan(p, *client, Fault::RequestLost));
        }
    }
    if process.awake && world.object.is_some() {
        actions.push(Action::Begin(p, From::Server));
    }
    if let Some(cache) = process.cache
        && Some(cache) != world.object
        && left.stale > 0
        && process.attempts.iter().all(|own| own.uid != cache.uid)
        && process.rotation.is_none_or(|known| known.uid != cache.uid)
    {
        actions.push(Action::Begin(p, From::Cache));
    }
    watch(system, world, p, actions);
    if process.stopping && !unstored {
        actions.push(Action::Exit(p));
    }
}

/// It may have seen another process's attempt unchanged for long enough.
fn watch(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let open = world.object.and_then(|object| object.attempt);
    if let Some(Claim { id, .. }) = open
        && process.abandoned != Some(id)
        && system.mistake != Some(Mistake::WaitsForEver)
        && process.own(id).is_none()
        && !may_be_running(world, id)
    {
        actions.push(Action::Watch(p));
    }
}

/// A create and the write of its Secret end within two minutes after the claim.
fn may_be_running(world: &World, id: AttemptNo) -> bool {
    let runs = |process: &Process| {
        let recent = process.pass.as_ref().is_some_and(|pass| pass.claim_recent);
        recent && process.own(id).is_some()
    };
    world.processes.iter().any(runs)
}

/// Lets process `p` do it. False if this is not an action of a process.
pub fn apply(system: &System, world: &mut World, action: &Action) -> bool {
    match action {
        Action::Begin(p, from) => begin(system, world, *p, *from),
        Action::Resolve(p) => unstored::resolve(system, world, *p),
        Action::ResolveGone(p, id, client) => {
            unstored::resolve_gone(system, world, *p, *id, *client);
        }
        Action::DeactivateOrphan(p, client, fault) => {
            unstored::deactivate(system, world, *p, *client, *fault);
        }
        Action::Take(p, step, fault) => take(system, world, *p, step, *fault),
        Action::Answer(p, row) => create::answer(system, world, *p, *row),
        Action::Reply(p, reply) => rotation::reply(system, world, *p, *reply),
        Action::Delay(p) => {
            world.left.api -= 1;
            let pass = pass(world, *p);
            pass.claim_recent = false;
            pass.record_recent = false;
        }
        Action::Report(p, fault) => end(system, world, *p, *fault),
        Action::Exit(p) => restart(&mut world.processes[*p]),
        Action::Watch(p) => {
            let open = world.object.and_then(|object| object.attempt);
            let process = &mut world.processes[*p];
            process.abandoned = open.map(|claim| claim.id);
            process.awake = true;
            // Only with a mistake does a pass notice it.
            if let Some(pass) = &mut process.pass
                && let Some(attempt) = &mut Arc::make_mut(&mut pass.facts).attempt
            {
                attempt.state = AttemptState::Abandoned;
            }
        }
        _ => return false,
    }
    true
}

fn begin(system: &System, world: &mut World, p: usize, from: From) {
    let process = &mut world.processes[p];
    let view = match from {
        From::Server => world.object,
        From::Cache => process.cache,
    };
    let Some(view) = view else {
        return;
    };
    if from == From::Cache {
        world.left.stale -= 1;
    } else {
        forget_attempts(system, process, &view);
    }
    rotation::note_record(process, &view, system.mistake);
    let pass = observe::begin(system, world, p, view, from == From::Server);
    world.processes[p].pass = Some(pass);
    if world.left.stale == 0 {
        for process in &mut world.processes {
            process.cache = None;
        }
    } else {
        world.processes[p].cache = Some(view);
    }
}

/// Forgets attempts that can have no effect any more. The program keeps some of them, so this only merges equal states.
fn forget_attempts(system: &System, process: &mut Process, view: &Object) {
    let named = view.attempt.map(|claim| claim.id);
    let empties = system.budget.empties > 0;
    process.attempts.retain(|own| match own.progress {
        Progress::Created(_) => true,
        Progress::InFlight | Progress::Unknown(_) => {
            named == Some(own.id) || (empties && own.uid == view.uid)
        }
        Progress::Unsent | Progress::NotCreated(_) => named == Some(own.id),
    });
}
