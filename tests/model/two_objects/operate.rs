//! What a process does: it observes facts, and executes the plan's steps, one request at a time.

use std::sync::LazyLock;

use provident_core::api::{ConditionStatus, OAuthClientSpec, Reason};
use provident_core::plan::{
    self, AdoptionFact, AutoRetry, Binding, Candidate, ClientAnswer, Conflict, ConnectionFacts,
    Content, Facts, MessageContext, Observation, Owner, ProofRead, RecordedClient, Rotation,
    SecretFacts, Step, Vendor,
};
use provident_core::vendor::types::ClientId;

use super::world::{Object, Pass, Process, Shown, World};
use super::{Action, Mistake, TwoObjects};

/// Whether the other object has the client, as far as the process knows.
enum OtherHolder {
    No,
    Yes {
        older: bool,
    },
    /// This process has just recorded it, and the watch does not show it yet.
    Unclear,
}

fn other_holder(process: &Process, o: usize) -> OtherHolder {
    let other = 1 - o;
    match process.cached[other] {
        Some(object) if object.bound && !object.deleting => OtherHolder::Yes { older: other < o },
        Some(object) if process.recorded[other] && !object.deleting => OtherHolder::Unclear,
        _ => OtherHolder::No,
    }
}

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

fn facts(view: &Object, conflict: Conflict) -> Facts {
    Facts {
        deleting: view.deleting,
        finalizer: view.finalizer,
        ready: view.shown == Shown::Ready,
        was_ready: view.shown == Shown::Ready,
        rejected: false,
        due: false,
        verification_requested: false,
        record: if view.bound {
            RecordedClient::Bound(client())
        } else {
            RecordedClient::Empty
        },
        attempt: None,
        retry: None,
        secret: SecretFacts::Unread,
        connection: ConnectionFacts::Usable,
        breaker_open: false,
        auto_retry: AutoRetry::No,
        stopping: false,
        preflight: false,
        vendor: Vendor::NotAsked,
        updated: false,
        not_applied: Vec::new(),
        adoption: AdoptionFact::None,
        conflict,
        restart: false,
        rotation: Rotation::default(),
        contested: false,
        crd_terminating: false,
        blocked: None,
    }
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

/// Reads the Secret, and whether the client may be adopted. `None` until the watch shows what this process has just
/// recorded.
fn read_secret(world: &World, p: usize, o: usize) -> Option<Observation> {
    let process = &world.processes[p];
    let secret = if world.secrets[o] {
        secret()
    } else {
        SecretFacts::Absent
    };
    let facts = Facts {
        secret: secret.clone(),
        ..process.passes[o].as_ref()?.facts.clone()
    };
    let adoption = if plan::may_look_for_adoption(&facts) {
        let held_elsewhere = match other_holder(process, o) {
            OtherHolder::No => false,
            OtherHolder::Yes { .. } => true,
            OtherHolder::Unclear => return None,
        };
        let fact = plan::adoption_fact(&Candidate {
            client: client().as_str(),
            stated: true,
            secret: "",
            key: "",
            in_place: false,
            namespace: "",
            connection: "",
            allowed: true,
            held_elsewhere,
            proof: ProofRead::Text,
        });
        match fact {
            // Nothing depends on messages here.
            AdoptionFact::Refused(reason, _) => AdoptionFact::Refused(reason, String::new()),
            fact => fact,
        }
    } else {
        AdoptionFact::None
    };
    Some(Observation::SecretRead { secret, adoption })
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

fn answer(active: bool, secret: SecretFacts) -> ClientAnswer {
    ClientAnswer {
        differs: Vec::new(),
        credentials: true,
        active,
        secret,
        rotation: None,
        restart: false,
    }
}

/// The object's own Secret, which is never changed here.
fn secret() -> SecretFacts {
    SecretFacts::Present {
        owner: Owner::This,
        binding: Binding::Valid(client()),
        content: Content::Current,
    }
}

fn client() -> ClientId {
    ClientId::parse("c1").expect("a valid clientId")
}

fn spec() -> &'static OAuthClientSpec {
    static SPEC: LazyLock<OAuthClientSpec> = LazyLock::new(|| {
        let spec = serde_json::json!({
            "allowedScopes": ["listings:read"],
            "adoption": { "clientId": "c1", "secretKeyRef": { "name": "proof", "key": "secret" } },
        });
        serde_json::from_value(spec).expect("a valid spec")
    });
    &SPEC
}
