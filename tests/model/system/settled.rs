//! What a user can expect once nothing can happen any more.

use stateright::Model;

use super::object::{Secret, Shown};
use super::world::{ClientNo, World};
use super::{Action, System, adoption};

/// Whether nothing can happen any more.
pub fn at_rest(system: &System, world: &World) -> bool {
    let mut actions: Vec<Action> = Vec::new();
    system.actions(world, &mut actions);
    actions.is_empty()
}

/// Whether a world at rest is as a user expects.
pub fn settled(system: &System, world: &World) -> bool {
    let none_left = |except: Option<ClientNo>| {
        (1..world.clients.len()).all(|number| {
            let client = world.clients[number];
            let kept = except.is_some_and(|except| usize::from(except) == number);
            !client.answered || !client.active || client.excused || kept
        })
    };
    let Some(object) = &world.object else {
        // `Retain` leaves the client to the Secret, which has no owner then.
        let retained = match world.secret {
            Some(Secret::Ours { client, .. }) => Some(client),
            _ => None,
        };
        return none_left(retained);
    };
    // A forged clientId waits for a person. Only the object's own Secret can prove it.
    if let Some(recorded) = object.client.filter(|_| !object.bound) {
        let at_vendor = world.clients[usize::from(recorded)];
        let proves = matches!(world.secret, Some(Secret::Ours { client, no, owner, .. })
            if client == recorded && no == at_vendor.shown && owner == Some(object.uid));
        let may = system.may_adopt && !object.deleting && !object.spec.suspend;
        return !(may && proves && object.spec.adoption.is_none() && !at_vendor.gone);
    }
    if object.deleting {
        return false;
    }
    let waits = object.spec.suspend || in_the_way(world) || adoption::waits(world, object);
    match (object.client, object.attempt) {
        (Some(_), Some(_)) => false,
        (Some(client), None) => {
            let waits = object.spec.suspend || in_the_way(world);
            let active = world.clients[usize::from(client)].active;
            let newest = world.clients[usize::from(client)].secret;
            let as_declared =
                object.not_applied || object.spec.active.is_none_or(|stated| stated == active);
            let stored = matches!(world.secret, Some(Secret::Ours { owner: Some(owner), client: held, no, .. })
                if owner == object.uid && held == client && no == newest);
            let gone = world.clients[usize::from(client)].gone;
            let inactive = !active && object.spec.active.is_none();
            // A rotation that the vendor accepted and did not carry out waits for a new token.
            let ignored = object.rotation.is_some_and(|open| open.accepted);
            let failed = inactive || ignored || object.not_applied;
            let reported = (object.shown == Shown::Ready) != failed;
            let quiet = object.rotation.is_none() && object.token == object.handled && !object.due;
            let rotated = quiet || ignored;
            let kept = reported && stored && as_declared && rotated;
            none_left(Some(client)) && (waits || gone || kept)
        }
        (None, Some(claim)) => {
            let retried = system.retries_itself && claim.retry_of.is_none();
            let held = object.shown == Shown::Held && object.retry != Some(claim.id) && !retried;
            none_left(None) && (held || object.shown == Shown::Rejected || waits)
        }
        (None, None) => none_left(None) && (object.shown == Shown::Rejected || waits),
    }
}

fn in_the_way(world: &World) -> bool {
    let client = world.object.and_then(|object| object.client);
    match world.secret {
        Some(Secret::Stranger | Secret::Forged { .. } | Secret::Handmade(_)) => true,
        Some(Secret::Ours {
            owner,
            client: stored,
            ..
        }) => owner.is_none() && client.is_some_and(|client| client != stored),
        None => false,
    }
}
