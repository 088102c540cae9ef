//! What a process does: the facts it hands to the plan, and the plan's steps, one request at a time.

use std::sync::LazyLock;

use provident_core::api::{ConditionStatus, OAuthClientSpec, Reason};
use provident_core::plan::{
    self, AdoptionFact, AutoRetry, Binding, Conflict, ConnectionFacts, Content, Facts, Found,
    MessageContext, Owner, RecordedClient, Rotation, SecretFacts, Step, Vendor,
};
use provident_core::vendor::types::ClientId;

use super::world::{Object, Pass, Process, Shown, World};
use super::{Action, Mistake, Rivals};

/// Whether another object has the client, as far as the process knows.
enum OtherHolder {
    No,
    Yes {
        older: bool,
    },
    /// It has just recorded it itself, and the watch does not show it yet.
    Unclear,
}

fn elsewhere(process: &Process, o: usize) -> OtherHolder {
    let other = 1 - o;
    match process.heard[other] {
        Some(object) if object.bound && !object.deleting => OtherHolder::Yes { older: other < o },
        Some(object) if process.recorded[other] && !object.deleting => OtherHolder::Unclear,
        _ => OtherHolder::No,
    }
}

pub fn actions(rivals: &Rivals, world: &World, p: usize, o: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    if process.heard[o] != world.objects[o] {
        actions.push(Action::Hear(p, o));
    }
    match &process.passes[o] {
        None if process.awake[o]
            && process.heard[o].is_some()
            && (p == o || rivals.processes == 1) =>
        {
            actions.push(Action::Begin(p, o));
        }
        None => {}
        Some(pass) => actions.push(match plan::next(spec(), &facts(rivals, world, pass, o)) {
            Some(step) => Action::Take(p, o, step),
            None => Action::Report(p, o),
        }),
    }
}

pub fn apply(rivals: &Rivals, world: &mut World, action: &Action) {
    match action {
        Action::Hear(p, o) => {
            let process = &mut world.processes[*p];
            process.heard[*o] = world.objects[*o];
            process.recorded[*o] = false;
            // A refused adoption is looked at again with backoff, a client in use at the next verification.
            process.awake = [true; 2];
        }
        Action::Begin(p, o) => begin(world, *p, *o),
        Action::Take(p, o, step) => take(rivals, world, *p, *o, step),
        Action::Report(p, o) => report(rivals, world, *p, *o),
        Action::Delete(_) | Action::Crash(_) | Action::Calm => {}
    }
}

fn begin(world: &mut World, p: usize, o: usize) {
    let process = &mut world.processes[p];
    process.awake[o] = false;
    let Some(view) = process.heard[o] else {
        return;
    };
    let (rival, free) = match elsewhere(process, o) {
        OtherHolder::No => (None, true),
        OtherHolder::Yes { older } => (Some(older), false),
        // It comes back when the watch has shown it.
        OtherHolder::Unclear if !view.bound => return,
        OtherHolder::Unclear => (None, false),
    };
    process.passes[o] = Some(Pass {
        view,
        conflict: rival.filter(|_| view.bound),
        free,
        adopted: false,
        verified: None,
        deactivated: false,
    });
}

fn facts(rivals: &Rivals, world: &World, pass: &Pass, o: usize) -> Facts {
    let view = pass.view;
    let ignored = match rivals.mistake {
        Some(Mistake::RivalIgnored) => view.deleting,
        Some(Mistake::YoungerGoesOn) => !view.deleting,
        _ => false,
    };
    Facts {
        deleting: view.deleting,
        finalizer: view.finalizer,
        ready: view.shown == Shown::Ready,
        rejected: false,
        due: false,
        record: if view.bound {
            RecordedClient::Bound(client())
        } else {
            RecordedClient::Empty
        },
        attempt: None,
        retry: None,
        secret: if world.secrets[o] {
            SecretFacts::Present {
                owner: Owner::This,
                binding: Binding::Valid(client()),
                content: Content::Current,
            }
        } else {
            SecretFacts::Absent
        },
        connection: ConnectionFacts::Usable,
        breaker_open: false,
        auto_retry: AutoRetry::No,
        stopping: false,
        preflight: false,
        vendor: match pass.verified {
            _ if pass.deactivated => Vendor::Deactivated,
            None => Vendor::NotAsked,
            Some(active) => Vendor::Found(Found {
                differs: Vec::new(),
                updated: false,
                credentials: true,
                active,
                rotated: false,
            }),
        },
        not_applied: Vec::new(),
        adoption: match (pass.adopted, pass.free) {
            _ if view.bound || view.deleting => AdoptionFact::None,
            (true, _) => AdoptionFact::Proven {
                client: client(),
                in_place: false,
            },
            (false, true) => AdoptionFact::Proof {
                client: client(),
                in_place: false,
            },
            (false, false) => AdoptionFact::Refused(Reason::ClientInUse, String::new()),
        },
        conflict: match pass.conflict {
            Some(older) if !ignored => {
                if older {
                    Conflict::WithOlder
                } else {
                    Conflict::WithYounger
                }
            }
            _ => Conflict::None,
        },
        restart: false,
        rotation: Rotation::default(),
        contested: false,
        definition_going: false,
    }
}

fn take(rivals: &Rivals, world: &mut World, p: usize, o: usize, step: &Step) {
    let Some(pass) = &world.processes[p].passes[o] else {
        return;
    };
    let view = pass.view;
    let current = world.objects[o] == Some(view);
    let active = world.active;
    let done = match step {
        Step::AddFinalizer => write(world, p, o, |object| object.finalizer = true),
        Step::Adopt(_) => {
            let process = &mut world.processes[p];
            let free = process.guard.is_none_or(|holder| holder == o)
                && matches!(elsewhere(process, o), OtherHolder::No);
            if free {
                process.guard = Some(o);
                note(world, p, o, |pass| {
                    pass.adopted = true;
                    pass.verified = Some(active);
                });
            }
            free
        }
        Step::Verify(_) => {
            note(world, p, o, |pass| pass.verified = Some(active));
            true
        }
        // The object is read again right before, as it is before a deactivation.
        Step::WriteSecret(_) => {
            let lives = world.objects[o].is_some_and(|object| !object.deleting);
            if lives {
                world.secrets[o] = true;
            }
            lives
        }
        Step::Deactivate(_) => deactivate(rivals, world, p, o),
        Step::Release => {
            if current {
                world.store(o, None);
            }
            false
        }
        other => unreachable!("nothing asks for {other:?} here"),
    };
    if !done {
        world.processes[p].end(o, true);
    }
}

/// Before the call, the process waits for an adoption that runs, and asks the API server who has the client.
fn deactivate(rivals: &Rivals, world: &mut World, p: usize, o: usize) -> bool {
    let kept = world.is_kept_by_another(o);
    let unasked = matches!(
        rivals.mistake,
        Some(Mistake::RivalUnasked | Mistake::RivalIgnored)
    );
    if world.objects[o].is_none() || (!unasked && world.processes[p].guard.is_some()) {
        return false;
    }
    if kept && !unasked {
        note(world, p, o, |pass| pass.conflict = Some(false));
        return true;
    }
    world.taken |= kept;
    world.active = false;
    note(world, p, o, |pass| pass.deactivated = true);
    true
}

fn report(rivals: &Rivals, world: &mut World, p: usize, o: usize) {
    let Some(pass) = &world.processes[p].passes[o] else {
        return;
    };
    let facts = facts(rivals, world, pass, o);
    let texts = MessageContext {
        namespace: "",
        name: "",
        secret: "",
        vendor_name: "",
        attempt_time: "",
    };
    let told = plan::report(spec(), &facts, None, texts).ready;
    let mut object = pass.view;
    object.bound |= plan::recorded_state(&facts).client.is_some();
    if let Some((status, reason, _)) = told {
        object.shown = match reason {
            _ if status == ConditionStatus::True => Shown::Ready,
            Reason::ClientInUse => Shown::InUse,
            _ => Shown::NotReady,
        };
    }
    let written = object == pass.view || write(world, p, o, |stored| *stored = object);
    let process = &mut world.processes[p];
    process.recorded[o] |= written && object.bound && process.heard[o] != Some(object);
    process.end(o, !written);
}

fn write(world: &mut World, p: usize, o: usize, edit: impl FnOnce(&mut Object)) -> bool {
    let view = world.processes[p].passes[o].as_ref().map(|pass| pass.view);
    let Some(mut object) = view.filter(|view| world.objects[o] == Some(*view)) else {
        return false;
    };
    edit(&mut object);
    world.store(o, Some(object));
    note(world, p, o, |pass| pass.view = object);
    true
}

fn note(world: &mut World, p: usize, o: usize, learn: impl FnOnce(&mut Pass)) {
    if let Some(pass) = &mut world.processes[p].passes[o] {
        learn(pass);
    }
}

fn client() -> ClientId {
    ClientId::parse("c1").expect("of safe form")
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
