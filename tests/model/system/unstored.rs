//! Clients that the vendor created and that status does not record yet: whether they are stored, or orphaned and then
//! deactivated.

use std::sync::Arc;

use provident_core::plan::{self, Disposition, ObjectState, Vendor};

use super::mistakes::Mistake;
use super::names::{attempt_id, client_id, declared, returned};
use super::object::Secret;
use super::observe;
use super::process::Verified;
use super::properties::Broken;
use super::requests::pass;
use super::world::{AttemptNo, ClientNo, World};
use super::{Fault, System};

/// Decides before a pass what becomes of a client whose object exists. The object is in view; the Secret is read now.
pub fn resolve(system: &System, world: &mut World, p: usize) {
    let secret = world.secret;
    let pass = pass(world, p);
    pass.resolving = false;
    let view = pass.view;
    let state = ObjectState::There {
        client: view.client.map(client_id),
        attempt: view.attempt.map(|claim| attempt_id(claim.id)),
        secret: observe::bound_to(secret, view.uid),
    };
    if let Some((id, client)) = world.processes[p].unstored(view.uid) {
        decide(system, world, p, (id, client), &state);
    }
}

/// Decides what becomes of a client whose object is gone.
pub fn resolve_gone(system: &System, world: &mut World, p: usize, id: AttemptNo, client: ClientNo) {
    decide(system, world, p, (id, client), &ObjectState::Gone);
}

fn decide(
    system: &System,
    world: &mut World,
    p: usize,
    (id, client): (AttemptNo, ClientNo),
    state: &ObjectState,
) {
    let held = is_held(world, client);
    match plan::disposition(&attempt_id(id), &client_id(client), state, held) {
        Disposition::AlreadyStored | Disposition::HeldElsewhere => world.processes[p].forget(id),
        // In a later pass than that of the create the vendor is not asked, so that status, which has a version, is written
        // first: by now another process may consider the attempt abandoned.
        Disposition::Store => {
            if system.mistake == Some(Mistake::SecretFirstTooLate) {
                secret_first(world, p, client);
            }
        }
        Disposition::Orphaned => {
            world.processes[p].forget(id);
            world.processes[p].orphans.push(client);
            world.processes[p].pass = None;
            world.processes[p].awake = true;
        }
    }
}

fn secret_first(world: &mut World, p: usize, client: ClientNo) {
    let pass = pass(world, p);
    pass.claim_recent = true;
    pass.verified = Some(Verified {
        client,
        active: true,
        no: 0,
    });
    Arc::make_mut(&mut pass.facts).vendor = Vendor::Found(plan::Found {
        differs: plan::differing(declared(pass.view.spec), &returned(true)),
        credentials: true,
        active: true,
        rotated: false,
    });
}

/// Deactivates an orphaned client, unless another object or Secret has it by now.
pub fn deactivate(system: &System, world: &mut World, p: usize, client: ClientNo, fault: Fault) {
    if fault != Fault::None {
        world.left.vendor -= 1;
        return;
    }
    world.efforts += u8::from(world.calm);
    let held = is_held(world, client);
    let unchecked = system.mistake == Some(Mistake::OrphanUnchecked);
    if held && unchecked {
        world.broken.insert(Broken::HeldDeactivated);
    }
    if !held || unchecked {
        world.client(client).active = false;
    }
    world.processes[p]
        .orphans
        .retain(|orphan| *orphan != client);
    world.wake();
}

/// An object without deletionTimestamp records the client, or a Secret that has no owner or such an object as owner.
fn is_held(world: &World, client: ClientNo) -> bool {
    let living = world.object.filter(|object| !object.deleting);
    let recorded = living.is_some_and(|object| object.bound && object.client == Some(client));
    let stored = match world.secret {
        Some(Secret::Ours {
            owner,
            client: stored,
            ..
        }) => {
            let lives = |owner| living.is_some_and(|object| object.uid == owner);
            stored == client && owner.is_none_or(lives)
        }
        Some(Secret::Forged { .. } | Secret::Handmade(_) | Secret::Stranger) | None => false,
    };
    recorded || stored
}
