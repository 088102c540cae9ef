//! What everybody but the operator does: tenants and their tools, people, the garbage collector; and crashes. Each happens as
//! often as the budget says.

use super::budget::Budget;
use super::mistakes::Mistake;
use super::object::{Object, Proof, Secret, Shown};
use super::process::restart;
use super::rotation::{self, SCHEDULED};
use super::world::{FOREIGN, HANDMADE, World};
use super::{Action, Edit, System};

/// Everything that may happen now.
pub fn actions(system: &System, world: &World, actions: &mut Vec<Action>) {
    let left = &world.left;
    rotation::actions(world, actions);
    let mut offer = |budget: u8, possible: bool, action: Action| {
        if budget > 0 && possible {
            actions.push(action);
        }
    };
    for (p, process) in world.processes.iter().enumerate() {
        let knows = process.pass.is_some()
            || !process.attempts.is_empty()
            || !process.orphans.is_empty()
            || process.abandoned.is_some()
            || process.rotation.is_some();
        offer(left.crashes, knows, Action::Crash(p));
        offer(left.terms, !process.stopping, Action::Term(p));
    }
    let gone = |uid| !world.lives(uid);
    let collectable = world.secret.and_then(Secret::owner).is_some_and(gone);
    offer(1, collectable, Action::Collect);
    offer(1, !world.calm, Action::Calm);
    offer(left.suspensions, true, Action::Suspend);
    offer(left.strangers, world.secret.is_none(), Action::Stranger);
    offer(left.forgeries, world.secret.is_some(), Action::DeleteSecret);
    let recorded = world.object.and_then(|object| object.client);
    let there = recorded
        .is_some_and(|client| client != FOREIGN && !world.clients[usize::from(client)].gone);
    offer(left.removals, there, Action::Remove);
    offer(left.hands, there, Action::RotateByHand);
    offer(left.rekeys, recorded.is_some(), Action::Rekey);
    offer(left.restores, world.backup.is_some(), Action::Restore);
    let restorable = world.secret.is_none() && recorded.is_none();
    offer(left.secrets, restorable, Action::RestoreSecret);
    let Some(object) = &world.object else {
        offer(left.recreates, true, Action::Recreate);
        return;
    };
    for edit in system.edits {
        let useful = !object.deleting || *edit == Edit::Retain;
        offer(left.edits, useful, Action::Edit(*edit));
    }
    // On an object that is being deleted, this would remove the finalizer by hand, which releases it.
    let erased = erase(system, *object) != *object;
    offer(left.replaces, !object.deleting && erased, Action::Replace);
    offer(left.deletes, !object.deleting, Action::Delete);
    offer(left.uninstalls, true, Action::Uninstall);
    offer(left.tokens, !object.deleting, Action::RequestRotation);
    let scheduled = object.rotation.is_some_and(|open| open.token == SCHEDULED);
    offer(
        left.dues,
        object.bound && !object.due && !scheduled,
        Action::ScheduleRotation,
    );
    let open = object.attempt.map(|claim| claim.id);
    let held = object.shown == Shown::Held && open.is_some() && object.retry != open;
    offer(left.retries, held && !object.deleting, Action::Retry);
    // A client that only status recorded would be lost, as with a restore without status: no design prevents that.
    let recoverable = open.is_some() && object.client.is_none();
    offer(left.empties, recoverable, Action::EmptyStatus);
    offer(
        left.forgeries,
        object.client != Some(FOREIGN),
        Action::ForgeStatus,
    );
    for owned in [true, false] {
        offer(
            left.forgeries,
            world.secret.is_none(),
            Action::ForgeSecret(owned),
        );
    }
}

/// Lets one of them happen.
pub fn apply(system: &System, world: &mut World, action: &Action) {
    if rotation::apply(world, action) {
        return;
    }
    match action {
        Action::Term(p) => {
            world.left.terms -= 1;
            world.processes[*p].stopping = true;
        }
        Action::Collect => world.store_secret(None, None),
        Action::Calm => {
            world.left = Budget::default();
            world.calm = true;
            world.connected = true;
            world.backup = None;
            world.wake();
        }
        Action::Suspend => {
            world.left.suspensions -= 1;
            world.connected = !world.connected;
            world.wake();
        }
        Action::Stranger => {
            world.left.strangers -= 1;
            world.store_secret(None, Some(Secret::Stranger));
        }
        Action::DeleteSecret => {
            world.left.forgeries -= 1;
            world.store_secret(None, None);
        }
        Action::ForgeSecret(owned) => {
            world.left.forgeries -= 1;
            let by = world.object.filter(|_| *owned).map(|object| object.uid);
            world.store_secret(None, Some(Secret::Forged { owner: by }));
        }
        Action::Recreate => {
            world.left.recreates -= 1;
            unverify(world);
            world.declare();
        }
        Action::Restore => {
            world.left.restores -= 1;
            // With the whole namespace, the former object may be gone without its finalizer's consent.
            if let Some(former) = world.object {
                disown(world, former);
            }
            let secret = world.backup.map(|(client, no)| Secret::Ours {
                owner: None,
                client,
                no,
                bound: true,
                verified: false,
            });
            world.store_secret(None, secret);
            world.declare();
        }
        Action::RestoreSecret => {
            world.left.secrets -= 1;
            let secret = Secret::Ours {
                owner: None,
                client: HANDMADE,
                no: 0,
                bound: true,
                verified: false,
            };
            world.store_secret(None, Some(secret));
        }
        Action::Rekey => rekey(world),
        _ => tenant(system, world, action),
    }
}

/// The binding key is another one, so no binding is valid any more. The operator starts with it.
fn rekey(world: &mut World) {
    world.left.rekeys -= 1;
    for p in 0..world.processes.len() {
        rotation::unawaited(world, p);
        restart(&mut world.processes[p]);
    }
    if let Some(Secret::Ours { bound, .. }) = &mut world.secret {
        *bound = false;
    }
    let rebound = world.object.map(|object| Object {
        bound: false,
        ..object
    });
    world.store_object(None, rebound);
}

fn tenant(system: &System, world: &mut World, action: &Action) {
    let Some(mut object) = world.object else {
        return;
    };
    match action {
        Action::Edit(edit) => {
            world.left.edits -= 1;
            match edit {
                Edit::Retain => object.spec.retain = !object.spec.retain,
                Edit::Suspend => object.spec.suspend = !object.spec.suspend,
                Edit::Adopt(proof) => adoption(world, &mut object, *proof),
                Edit::Active => object.spec.active = Some(object.spec.active == Some(false)),
            }
            // A held object stays held; Ready and Rejected belong to the generation before the edit.
            if matches!(object.shown, Shown::Ready | Shown::Rejected) {
                object.shown = Shown::Pending;
            }
            object.not_applied = false;
        }
        Action::Replace => {
            world.left.replaces -= 1;
            object = erase(system, object);
        }
        Action::Delete => {
            world.left.deletes -= 1;
            object.deleting = true;
            if !object.finalizer {
                disown(world, object);
                world.store_object(None, None);
                return;
            }
        }
        Action::Uninstall => {
            world.left.uninstalls -= 1;
            world.crd_terminating = true;
            object.deleting = true;
            if !object.finalizer {
                disown(world, object);
                world.store_object(None, None);
                return;
            }
        }
        Action::RequestRotation => {
            world.left.tokens -= 1;
            object.token = Some(world.tokens);
            world.manifest = object.token;
            world.tokens += 1;
        }
        Action::ScheduleRotation => {
            world.left.dues -= 1;
            object.due = true;
        }
        Action::Remove => {
            world.left.removals -= 1;
            if let Some(client) = object.client {
                world.client(client).active = false;
                world.client(client).gone = true;
            }
            world.wake();
            return;
        }
        Action::Retry => {
            world.left.retries -= 1;
            object.retry = object.attempt.map(|claim| claim.id);
            world.tally[usize::from(object.uid)].decisions += 1;
        }
        Action::EmptyStatus => {
            world.left.empties -= 1;
            object = object.without_status();
        }
        Action::ForgeStatus => {
            world.left.forgeries -= 1;
            disown(world, object);
            object.client = Some(FOREIGN);
            object.bound = false;
        }
        _ => return,
    }
    world.store_object(None, Some(object));
}

/// A person has found the client at the vendor, or created it there. The spec states `isActive`, in which it differs.
fn adoption(world: &mut World, object: &mut Object, proof: Proof) {
    object.spec.adoption = Some(proof);
    object.spec.active = Some(true);
    if proof == Proof::InPlace && world.secret.is_none() {
        let shown = world.client(HANDMADE).shown;
        world.store_secret(None, Some(Secret::Handmade(shown)));
    }
}

/// `kubectl replace` with the manifest from Git removes annotations and finalizers, and leaves status.
fn erase(system: &System, object: Object) -> Object {
    let annotated = system.mistake == Some(Mistake::ClaimInAnnotation);
    Object {
        finalizer: false,
        retry: None,
        attempt: object.attempt.filter(|_| !annotated),
        ..object
    }
}

/// Whoever removes a record is responsible for the client in it.
fn disown(world: &mut World, object: Object) {
    if let Some(client) = object.client {
        world.client(client).excused = true;
    }
}

/// `status.secretResourceVersion` is gone with the object.
fn unverify(world: &mut World) {
    if let Some(Secret::Ours { verified, .. }) = &mut world.secret {
        *verified = false;
    }
}
