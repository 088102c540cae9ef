//! Executes the steps of the plan, each as one request, and hands what they show to `Facts::apply`.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{self, Blocked, Effect, Observation, Step};

use super::apply::{blocked, take_in, why};
use super::mistakes::Mistake;
use super::names::{attempt_no, client_no};
use super::object::Claim;
use super::process::Progress;
use super::properties::{Broken, excuse};
use super::requests::{abandon, generation_unchanged, pass, write};
use super::world::{Client, ClientNo, FOREIGN, World};
use super::{Fault, System, adoption, create, observe, rotation, secret};

/// The faults that a step's request may meet. Replies to a create or a rotation are actions of their own.
pub fn faults(step: &Step) -> &'static [Fault] {
    match step {
        Step::ReadSecret | Step::Create | Step::Rotate(_) | Step::RestartWorkloads => &[],
        Step::Preflight => &[Fault::Refused],
        Step::WriteSecret(_) => &[Fault::AnswerLost, Fault::RequestLost, Fault::Refused],
        Step::AddFinalizer
        | Step::Claim { .. }
        | Step::RecordRotation(_)
        | Step::DisownSecret
        | Step::Release
        | Step::Deactivate(_) => &[Fault::AnswerLost, Fault::RequestLost],
        Step::Adopt(_) | Step::Verify(_) => &[Fault::AnswerLost],
        Step::Update(..) => &[
            Fault::AnswerLost,
            Fault::RequestLost,
            Fault::Ignored,
            Fault::Partial,
        ],
    }
}

/// How many faults of this step's kind may still happen.
pub fn faults_left(world: &World, step: &Step) -> u8 {
    match step.effect() {
        Effect::None | Effect::Kubernetes => world.left.api,
        Effect::VendorRead | Effect::VendorWrite => world.left.vendor,
    }
}

/// Executes a step.
pub fn take(system: &System, world: &mut World, p: usize, step: &Step, fault: Fault) {
    if fault != Fault::None {
        match step.effect() {
            Effect::None | Effect::Kubernetes => world.left.api -= 1,
            Effect::VendorRead | Effect::VendorWrite => world.left.vendor -= 1,
        }
    }
    let before = world.processes[p].clone();
    if let Some(observation) = execute(system, world, p, step, fault) {
        take_in(system, pass(world, p), step, observation);
    }
    // The plan would name the same step for ever.
    if world.processes[p] == before {
        world.broken.insert(Broken::StepRepeated);
    }
}

/// `None` if the pass ended, or waits for a reply.
fn execute(
    system: &System,
    world: &mut World,
    p: usize,
    step: &Step,
    fault: Fault,
) -> Option<Observation> {
    match step {
        Step::ReadSecret => Some(secret::read(system, world, p)),
        Step::Preflight => secret::preflight(system, world, p, fault),
        Step::AddFinalizer => write(world, p, fault, false, |object| object.finalizer = true)
            .then_some(Observation::FinalizerAdded),
        Step::Claim { retry_of } => {
            let claim = Claim {
                id: world.attempts,
                retry_of: retry_of.as_ref().map(attempt_no),
                outcome: None,
            };
            create::claim(system, world, p, claim, fault)
        }
        Step::Create => create::send(system, world, p),
        Step::Adopt(id) => Some(adoption::adopt(system, world, p, client_no(id), fault)),
        Step::Verify(id) => Some(verify(system, world, p, client_no(id), fault)),
        Step::Update(id, _) => update(system, world, p, client_no(id), fault),
        Step::WriteSecret(id) => secret::write(system, world, p, client_no(id), fault),
        Step::RestartWorkloads => {
            pass(world, p).restarted = true;
            Some(Observation::WorkloadsRestarted)
        }
        Step::RecordRotation(token) => rotation::record(system, world, p, token, fault),
        Step::Rotate(id) => rotation::send(system, world, p, client_no(id)),
        Step::Deactivate(id) => deactivate(system, world, p, client_no(id), fault),
        Step::DisownSecret => secret::disown(world, p, fault),
        Step::Release => {
            release(world, p, fault);
            None
        }
    }
}

fn verify(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    fault: Fault,
) -> Observation {
    call(world, client);
    if fault != Fault::None {
        return blocked(Reason::VendorUnavailable);
    }
    if system.mistake == Some(Mistake::VerifiedInVain) {
        world.processes[p].verified(true);
    }
    if world.client(client).gone {
        return Observation::ClientMissing;
    }
    Observation::Client(observe::answer(system, world, p, client, true))
}

fn update(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    fault: Fault,
) -> Option<Observation> {
    let view = pass(world, p).view;
    if !generation_unchanged(world, &view) {
        abandon(world, p);
        return None;
    }
    call(world, client);
    let Client { active, gone, .. } = *world.client(client);
    if gone {
        // A 404 to a PUT is left to the next GET.
        return Some(Observation::Blocked(Blocked {
            ready: ConditionStatus::Unknown,
            ..why(Reason::ConnectionNotReady)
        }));
    }
    match fault {
        Fault::RequestLost => return Some(blocked(Reason::VendorUnavailable)),
        Fault::Ignored => {}
        Fault::None | Fault::AnswerLost | Fault::Refused | Fault::Partial => {
            world.client(client).active = view.spec.active.unwrap_or(active);
        }
    }
    Some(match fault {
        Fault::AnswerLost => blocked(Reason::VendorUnavailable),
        Fault::Partial => Observation::UpdatedUnseen,
        Fault::None | Fault::RequestLost | Fault::Refused | Fault::Ignored => {
            Observation::Client(observe::answer(system, world, p, client, true))
        }
    })
}

fn deactivate(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    fault: Fault,
) -> Option<Observation> {
    // Read again right before: the policy may be Retain by now, or the object gone and its client taken up.
    let unread = system.mistake == Some(Mistake::DeactivateUnread);
    let view = pass(world, p).view;
    if !generation_unchanged(world, &view) && !unread {
        abandon(world, p);
        return None;
    }
    // So is the CRD.
    if world.crd_terminating && system.mistake != Some(Mistake::UninstallUnseen) {
        return Some(Observation::CrdTerminating);
    }
    call(world, client);
    if fault != Fault::RequestLost {
        let requested = world
            .object
            .is_some_and(|o| o.uid == view.uid && o.deleting && !o.spec.retain);
        if !requested || world.crd_terminating {
            world.broken.insert(Broken::HeldDeactivated);
        }
        world.client(client).active = false;
        world.wake();
    }
    Some(if fault != Fault::None {
        blocked(Reason::VendorUnavailable)
    } else if world.client(client).gone {
        Observation::ClientMissing
    } else {
        Observation::Deactivated
    })
}

/// Removes the finalizer, with which the object is gone.
fn release(world: &mut World, p: usize, fault: Fault) {
    let pass = pass(world, p);
    let (view, current) = (pass.view, pass.view_current);
    // Somebody took the owner off the Secret to keep its credentials working.
    let orphans = plan::is_orphaning(&pass.facts);
    let deactivates = !view.spec.retain && !pass.facts.crd_terminating && !orphans;
    let owned = observe::bound_to(pass.secret, view.uid);
    if current && fault != Fault::RequestLost {
        if create::in_flight_for(world, view.uid) {
            world.broken.insert(Broken::PlaceGone);
        }
        if let Some(client) = owned
            .as_ref()
            .filter(|_| deactivates && view.client.is_none())
            && world.client(client_no(client)).active
        {
            world.broken.insert(Broken::LeftActive);
        }
        world.store_object(Some(p), None);
        if view.spec.retain || world.crd_terminating || orphans {
            // `Retain` requests that the client stays active.
            if let Some(client) = view.client.or(owned.as_ref().map(client_no)) {
                world.client(client).excused = true;
            }
            excuse(world);
        }
        let stored = |progress| matches!(progress, Progress::Created(_));
        let attempts = &mut world.processes[p].attempts;
        attempts.retain(|own| own.uid != view.uid || stored(own.progress));
    }
    abandon(world, p);
}

/// A request about this client.
pub fn call(world: &mut World, client: ClientNo) {
    world.efforts += u8::from(world.calm);
    if client == FOREIGN {
        world.broken.insert(Broken::ForeignCall);
    }
}
