//! What a process does between two requests: begins a pass, reads, asks the plan for the next step, and decides what
//! becomes of answers that come too late. `steps` carries the steps out, `report` ends the pass.

use provident_core::plan::{self, Content, Disposition, ObjectState, Step, TakeUp, Vendor};

use super::mistakes::Mistake;
use super::names::{attempt_id, client_id, declared};
use super::process::{Memory, Pass, Progress, Verified, restart, secret_facts};
use super::properties::Broken;
use super::report::{end, report};
use super::requests::pass;
use super::steps::{answer, found, take};
use super::world::{AttemptNo, Claim, ClientNo, Secret, World};
use super::{Action, From, Luck, Row, System, rotation};

/// Everything that process `p` may do now.
pub fn actions(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let left = &world.left;
    let Some(pass) = &process.pass else {
        return between(system, world, p, actions);
    };
    if !pass.read {
        actions.push(Action::Read(p));
        return;
    }
    if system.mistake == Some(Mistake::OverAfterRead) {
        watch(system, world, p, actions);
    }
    if process.in_flight().is_some() {
        actions.push(Action::Answer(p, Row::Created));
        if left.vendor > 0 {
            actions.extend(system.replies.iter().map(|row| Action::Answer(p, *row)));
        }
        return;
    }
    if pass.awaits {
        return rotation::replies(world, p, actions);
    }
    let Some(step) = next(system, world, p) else {
        actions.push(Action::Report(p, Luck::Good));
        if left.api > 0 && pass.current && report(system, world, p).is_some() {
            for luck in [Luck::AnswerLost, Luck::RequestLost] {
                actions.push(Action::Report(p, luck));
            }
        }
        return;
    };
    let (budget, lucks): (u8, &[Luck]) = match step {
        Step::Create | Step::RestartWorkloads | Step::Rotate(_) => (0, &[]),
        Step::Preflight => (left.api, &[Luck::Refused]),
        Step::WriteSecret(_) => (
            left.api,
            &[Luck::AnswerLost, Luck::RequestLost, Luck::Refused],
        ),
        Step::DisownSecret => (left.api, &[Luck::AnswerLost, Luck::RequestLost]),
        Step::AddFinalizer | Step::Claim { .. } | Step::RecordRotation(_) | Step::Release => {
            let budget = if pass.current { left.api } else { 0 };
            (budget, &[Luck::AnswerLost, Luck::RequestLost])
        }
        Step::Adopt(_) | Step::Verify(_) => (left.vendor, &[Luck::AnswerLost]),
        Step::Update(..) | Step::Deactivate(_) => {
            (left.vendor, &[Luck::AnswerLost, Luck::RequestLost])
        }
    };
    if pass.in_time && left.api > 0 && matches!(step, Step::Create | Step::WriteSecret(_)) {
        actions.push(Action::Dawdle(p));
    }
    if pass.permit && left.api > 0 && matches!(step, Step::Rotate(_)) {
        actions.push(Action::Dawdle(p));
    }
    for luck in lucks.iter().filter(|_| budget > 0) {
        actions.push(Action::Take(p, step.clone(), *luck));
    }
    actions.push(Action::Take(p, step, Luck::Good));
}

/// What it may do while no pass runs.
fn between(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let uid = world.object.map(|object| object.uid);
    for memory in &process.memory {
        match memory.state {
            Progress::Created(_) if uid != Some(memory.uid) => {
                actions.push(Action::Decide(p, memory.id));
            }
            Progress::Late(_) if world.connected => {
                actions.push(Action::Disable(p, memory.id, Luck::Good));
                if world.left.vendor > 0 {
                    actions.push(Action::Disable(p, memory.id, Luck::RequestLost));
                }
            }
            _ => {}
        }
    }
    let late = |m: &Memory| matches!(m.state, Progress::Late(_));
    let storing = process.memory.iter().any(late);
    if process.awake && world.object.is_some() && !storing {
        actions.push(Action::Begin(p, From::Server));
    }
    if let Some(cache) = process.cache
        && Some(cache) != world.object
        && world.left.stale > 0
        && process.memory.iter().all(|memory| memory.uid != cache.uid)
        && process.rotation.is_none_or(|known| known.uid != cache.uid)
    {
        actions.push(Action::Begin(p, From::Cache));
    }
    watch(system, world, p, actions);
    let unstored = |m: &Memory| matches!(m.state, Progress::Created(_) | Progress::Late(_));
    if process.stopping && !process.memory.iter().any(unstored) {
        actions.push(Action::Leave(p));
    }
}

/// It may have facts another's attempt unchanged for long enough.
fn watch(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let foreign = world.object.and_then(|object| object.attempt);
    if let Some(Claim { id, .. }) = foreign
        && process.over != Some(id)
        && system.mistake != Some(Mistake::WaitsForEver)
        && process.remembers(id).is_none()
        && !may_be_under_way(world, id)
    {
        actions.push(Action::Watch(p));
    }
}

/// A create is under way for less than two minutes after its claim.
fn may_be_under_way(world: &World, id: AttemptNo) -> bool {
    world.processes.iter().any(|process| {
        let in_time = process.pass.as_ref().is_some_and(|pass| pass.in_time);
        in_time && process.remembers(id).is_some()
    })
}

/// Lets process `p` do it. False if this is not an action of a process.
pub fn apply(system: &System, world: &mut World, action: &Action) -> bool {
    match action {
        Action::Begin(p, from) => begin(system, world, *p, *from),
        Action::Read(p) => read(system, world, *p),
        Action::Take(p, step, luck) => take(system, world, *p, step, *luck),
        Action::Answer(p, row) => answer(system, world, *p, *row),
        Action::Dawdle(p) => {
            world.left.api -= 1;
            let pass = pass(world, *p);
            if pass.record_in_time {
                pass.permit = false;
            } else {
                pass.in_time = false;
                pass.vendor = Vendor::NotAsked;
            }
        }
        Action::Reply(p, reply) => rotation::reply(system, world, *p, *reply),
        Action::Report(p, luck) => end(system, world, *p, *luck),
        Action::Decide(p, id) => {
            if let Some(memory) = world.processes[*p].remembers(*id).copied() {
                decide(system, world, *p, memory, &ObjectState::Gone);
            }
        }
        Action::Disable(p, id, luck) => disable(system, world, *p, *id, *luck),
        Action::Leave(p) => restart(&mut world.processes[*p]),
        Action::Watch(p) => {
            let attempt = world.object.and_then(|object| object.attempt);
            let process = &mut world.processes[*p];
            process.over = attempt.map(|claim| claim.id);
            process.awake = true;
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
    if from == From::Cache {
        world.left.stale -= 1;
    }
    let Some(view) = view else {
        return;
    };
    process.pass = Some(Pass::over(view, from == From::Server));
    rotation::observe(process, &view, system.mistake);
    if from == From::Server {
        // An attempt of its own that the object does not name any more needs no memory.
        let named = view.attempt.map(|claim| claim.id);
        process.memory.retain(|memory| {
            let open = matches!(memory.state, Progress::Created(_) | Progress::Late(_));
            open || named == Some(memory.id)
        });
    }
    if world.left.stale == 0 {
        for process in &mut world.processes {
            process.cache = None;
        }
    } else {
        world.processes[p].cache = Some(view);
    }
}

fn read(system: &System, world: &mut World, p: usize) {
    let (secret, going) = (world.secret, world.definition_going);
    let current = pass(world, p);
    current.read = true;
    current.secret = secret;
    current.secret_current = true;
    let view = current.view;
    let unseen = system.mistake == Some(Mistake::UninstallUnseen);
    current.definition_going = view.deleting && going && !unseen;
    let Some(memory) = world.processes[p].answer(view.uid) else {
        return;
    };
    let bound = secret.and_then(|secret| {
        let facts = secret_facts(secret, view.uid, Content::Unknown);
        match plan::take_up(&facts) {
            TakeUp::Client(id) => Some(id),
            _ => None,
        }
    });
    let standing = ObjectState::There {
        client: view.client.map(client_id),
        attempt: view.attempt.map(|claim| attempt_id(claim.id)),
        secret: bound,
    };
    decide(system, world, p, memory, &standing);
}

/// What becomes of an answer that is not recorded yet.
fn decide(system: &System, world: &mut World, p: usize, memory: Memory, standing: &ObjectState) {
    let Progress::Created(client) = memory.state else {
        return;
    };
    let kept = is_kept(world, client);
    let fate = plan::disposition(&attempt_id(memory.id), &client_id(client), standing, kept);
    match fate {
        Disposition::AlreadyStored | Disposition::HeldElsewhere => {
            world.processes[p].forget(memory.id)
        }
        // The plan is told that the vendor was not asked, so that this goes to status first, by its version: by now
        // another process may have taken the attempt for over. Only the pass that asked may write the Secret first.
        Disposition::Store => {
            if system.mistake == Some(Mistake::SecretFirstTooLate) {
                let pass = pass(world, p);
                pass.vendor = found(&pass.view, true, true);
                pass.verified = Some(Verified {
                    client,
                    active: true,
                    no: 0,
                });
            }
        }
        Disposition::Orphaned => {
            world.processes[p].learn(memory.id, Progress::Late(client));
            world.processes[p].pass = None;
        }
    }
}

fn disable(system: &System, world: &mut World, p: usize, id: AttemptNo, luck: Luck) {
    if luck != Luck::Good {
        world.left.vendor -= 1;
        return;
    }
    let memory = world.processes[p].remembers(id).copied();
    if let Some(Memory {
        state: Progress::Late(client),
        ..
    }) = memory
    {
        // Time has passed since it was found to be late, so whether somebody keeps it is asked again.
        world.efforts += u8::from(world.calm);
        let kept = is_kept(world, client);
        if kept && system.mistake == Some(Mistake::LateUnasked) {
            world.broken.insert(Broken::KeptDeactivated);
            world.client(client).active = false;
        } else if !kept {
            world.client(client).active = false;
        }
        world.processes[p].forget(id);
        world.wake();
    }
}

/// An object without deletionTimestamp records the client, or a Secret that has no owner or such an object as owner.
fn is_kept(world: &World, client: ClientNo) -> bool {
    let living = world.object.filter(|object| !object.deleting);
    let recorded = living.is_some_and(|object| object.bound && object.client == Some(client));
    let stored = match world.secret {
        Some(Secret::Ours {
            owner,
            client: held,
            ..
        }) => {
            let lives = |owner| living.is_some_and(|object| object.uid == owner);
            held == client && owner.is_none_or(lives)
        }
        _ => false,
    };
    recorded || stored
}

/// The program's plan, with the mistake that is to be found.
fn next(system: &System, world: &World, p: usize) -> Option<Step> {
    let process = &world.processes[p];
    let pass = process.pass.as_ref()?;
    if pass.stop.is_some() {
        return None;
    }
    let mut facts = process.facts(pass, world.connected, system);
    if system.mistake == Some(Mistake::ReleaseDuringAttempt) && facts.deleting {
        facts.attempt = None;
    }
    plan::next(declared(pass.view.spec), &facts)
}
