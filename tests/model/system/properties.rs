//! The promises, as properties of the model, and the books they are read from. Nothing here decides anything for the
//! processes: it is written from the design, not from the program.

use std::collections::BTreeSet;

use stateright::{Model, Property};

use super::process::Progress;
use super::rotation::{SCHEDULED, Token};
use super::world::{ClientNo, HANDMADE, Object, Secret, Shown, World};
use super::{Action, System, adoption};

/// Per object, by uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Creates sent of which no reply has proved that nothing was made.
    pub sent: u8,
    /// Attempts that a person allowed to be made once more.
    pub decisions: u8,
}

/// A promise that a step has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// A create was sent although this pass had not proved that its Secret can be written.
    SentUnproven,
    /// A step of the operator left no trace of a client whose answer was read, and the client active.
    AnswerLost,
    /// The finalizer was taken off while a create for the object was on its way.
    PlaceGone,
    /// `Ready=True` without the Secret, or with a client that is not as declared.
    ReadyUntrue,
    /// A call named a client that is not this object's.
    ForeignCall,
    /// Somebody else's Secret was written.
    ForeignSecret,
    /// A rotation was sent although one for the same token may be carried out yet, or was acknowledged.
    RotatedAgain,
    /// A rotation was acknowledged before the Secret held what it made.
    AcknowledgedEarly,
    /// An adoption erased the record of a create that was on its way.
    AttemptForgotten,
    /// A client was deactivated that an object or a lasting Secret keeps, and whose deletion nobody asked for.
    KeptDeactivated,
}

const P1: &str = "P1 no more creates than decisions";
const P1_ONE: &str = "P1 an object and its Secret name one client";
const P1_HELD: &str = "P1 an attempt stands until its outcome is known";
const P1_ROTATE: &str = "P1 a token rotates once";
const P2: &str = "P2 nothing is created or rotated that cannot be stored";
const P3: &str = "P3 nothing that was answered is lost";
const P3_PLACE: &str = "P3 the object outlives its create";
const P4: &str = "P4 Ready tells the truth";
const P4_TOKEN: &str = "P4 an acknowledged rotation is in the Secret";
const P5: &str = "P5 nobody's client or Secret reaches anybody else";
const P6: &str = "P6 settled is silent";
const SETTLES: &str = "settles";

/// Writes and vendor calls after which a world that nobody disturbs is at rest. `settles` looks at the ends of paths
/// only; this rules out that two processes write for ever.
const MOST_EFFORTS: u8 = 12;
/// Likewise, with rotations.
const MOST_EFFORTS_ROTATING: u8 = 20;

/// All properties. The `sometimes` are the model's own health: it gets to where the promises are at stake.
pub fn all() -> Vec<Property<System>> {
    vec![
        Property::always(P1, |system, w: &World| {
            let by_policy = u8::from(system.retries_itself);
            w.tally
                .iter()
                .all(|t| t.sent <= 1 + t.decisions + by_policy)
        }),
        Property::always(P1_ONE, |_, w: &World| match (w.object, w.secret) {
            (
                Some(Object {
                    uid,
                    client: Some(recorded),
                    bound: true,
                    ..
                }),
                Some(Secret::Ours { owner, client, .. }),
            ) => owner.is_some_and(|owner| owner != uid) || client == recorded,
            _ => true,
        }),
        Property::always(P1_HELD, |_, w: &World| {
            !w.broken.contains(&Broken::AttemptForgotten)
        }),
        Property::always(P1_ROTATE, |_, w: &World| {
            let asked = |token: &&Token| **token != SCHEDULED;
            let mut carried_out: Vec<&Token> = w.carried_out.iter().filter(asked).collect();
            carried_out.sort_unstable();
            let twice = carried_out.windows(2).any(|pair| pair[0] == pair[1]);
            !twice && !w.broken.contains(&Broken::RotatedAgain)
        }),
        Property::always(P4_TOKEN, |_, w: &World| {
            !w.broken.contains(&Broken::AcknowledgedEarly)
        }),
        Property::always(P2, |_, w: &World| !w.broken.contains(&Broken::SentUnproven)),
        Property::always(P3, |_, w: &World| !w.broken.contains(&Broken::AnswerLost)),
        Property::always(P3_PLACE, |_, w: &World| {
            !w.broken.contains(&Broken::PlaceGone)
        }),
        Property::always(P4, |_, w: &World| !w.broken.contains(&Broken::ReadyUntrue)),
        Property::always(P5, |_, w: &World| {
            let kinds = [
                Broken::ForeignCall,
                Broken::ForeignSecret,
                Broken::KeptDeactivated,
            ];
            kinds.iter().all(|kind| !w.broken.contains(kind))
        }),
        Property::always(P6, |_, w: &World| {
            let rotates = w.records > 0;
            w.efforts
                <= if rotates {
                    MOST_EFFORTS_ROTATING
                } else {
                    MOST_EFFORTS
                }
        }),
        Property::eventually(SETTLES, |system, w: &World| {
            w.calm && at_rest(system, w) && settled(system, w)
        }),
        Property::sometimes("ready", |_, w: &World| shows(w, Shown::Ready)),
        Property::sometimes("held", |_, w: &World| shows(w, Shown::Held)),
        Property::sometimes("rejected", |_, w: &World| shows(w, Shown::Rejected)),
        Property::sometimes("tried again", |system, w: &World| {
            let decided = |t: &Tally| t.decisions > 0 || system.retries_itself;
            w.tally.iter().any(|t| decided(t) && t.sent > 1)
        }),
        Property::sometimes("late answer", |_, w: &World| {
            let late = |state| matches!(state, Progress::Late(_));
            w.processes
                .iter()
                .any(|p| p.memory.iter().any(|m| late(m.state)))
        }),
        Property::sometimes("rotated", |_, w: &World| {
            let handled = |o: Object| o.rotation.is_none() && o.shown == Shown::Ready;
            !w.carried_out.is_empty() && w.object.is_some_and(handled)
        }),
        Property::sometimes("not applied", |_, w: &World| {
            let told = |o: Object| o.rotation.is_some_and(|open| open.accepted);
            w.calm && w.object.is_some_and(told)
        }),
        Property::sometimes("adopted", |_, w: &World| {
            let adopted = |o: Object| o.bound && o.client == Some(HANDMADE);
            w.object.is_some_and(adopted) && shows(w, Shown::Ready)
        }),
        Property::sometimes("released", |_, w: &World| w.object.is_none()),
        Property::sometimes("taken up", |_, w: &World| {
            let anew = |w: &World| w.tally.last().is_some_and(|t| t.sent == 0);
            w.uids > 1 && anew(w) && shows(w, Shown::Ready)
        }),
    ]
}

fn shows(world: &World, shown: Shown) -> bool {
    world.object.is_some_and(|object| object.shown == shown)
}

/// Whether nothing moves any more.
fn at_rest(system: &System, world: &World) -> bool {
    let mut actions: Vec<Action> = Vec::new();
    system.actions(world, &mut actions);
    actions.is_empty()
}

/// Whether a world at rest is one that a user can live with.
fn settled(system: &System, world: &World) -> bool {
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
    // A clientId that was forged waits for a person, whatever else happens. The object's own Secret proves its client.
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
            let as_declared = object.spec.active.is_none_or(|stated| stated == active);
            let stored = matches!(world.secret, Some(Secret::Ours { owner: Some(owner), client: held, no, .. })
                if owner == object.uid && held == client && no == newest);
            let gone = world.clients[usize::from(client)].gone;
            let inactive = !active && object.spec.active.is_none();
            // A rotation that the vendor took and did not carry out waits for a new token.
            let ignored = object.rotation.is_some_and(|open| open.accepted);
            let told = (object.shown == Shown::Ready) != (inactive || ignored);
            let quiet = object.rotation.is_none() && object.token == object.handled && !object.due;
            let rotated = quiet || ignored;
            let kept = told && stored && as_declared && rotated;
            none_left(Some(client)) && (waits || gone || kept)
        }
        (None, Some(claim)) => {
            let again = system.retries_itself && claim.retry_of.is_none();
            let held = object.shown == Shown::Held && object.retry != Some(claim.id) && !again;
            none_left(None) && (held || object.shown == Shown::Rejected || waits)
        }
        (None, None) => none_left(None) && (object.shown == Shown::Rejected || waits),
    }
}

fn in_the_way(world: &World) -> bool {
    matches!(
        world.secret,
        Some(Secret::Stranger | Secret::Forged { .. } | Secret::Handmade(_))
    )
}

/// Clients that were answered and are active, and stand nowhere: not in the status of the object, not in a Secret
/// that will last, not in the memory of a process.
fn lost(world: &World) -> Vec<usize> {
    let mut kept = BTreeSet::new();
    if let Some(object) = &world.object {
        kept.extend(object.client.filter(|_| object.bound));
    }
    if let Some(Secret::Ours { owner, client, .. }) = world.secret
        && owner.is_none_or(|owner| world.lives(owner))
    {
        kept.insert(client);
    }
    for memory in world.processes.iter().flat_map(|p| &p.memory) {
        if let Progress::Created(client) | Progress::Late(client) = memory.state {
            kept.insert(client);
        }
    }
    let stray = |number: &usize| {
        let client = world.clients[*number];
        let kept = kept.iter().any(|kept| usize::from(*kept) == *number);
        client.answered && client.active && !client.excused && !kept
    };
    (1..world.clients.len()).filter(stray).collect()
}

/// Books what a step of the operator lost: that is a broken promise.
pub fn account(world: &mut World) {
    if !lost(world).is_empty() {
        world.broken.insert(Broken::AnswerLost);
    }
}

/// Books what anybody else lost, by a crash (the clientId is in the log) or by removing a record with their own hands.
pub fn excuse(world: &mut World) {
    for number in lost(world) {
        world.clients[number].excused = true;
    }
}
