//! The promises, as properties of the model, and the records that they are read from. Nothing here decides anything for the
//! processes: it is written from the design, not from the program.

use std::collections::BTreeSet;

use stateright::Property;

use super::System;
use super::object::{Object, Secret, Shown};
use super::process::Progress;
use super::rotation::{SCHEDULED, Token};
use super::settled::{at_rest, settled};
use super::world::{ClientNo, HANDMADE, World};

/// Per object, by uid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    /// Creates sent, without those whose reply proves that nothing was created.
    pub sent: u8,
    /// Retries that a person allowed.
    pub decisions: u8,
}

/// A promise that a step has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// A create or a rotation was sent although this pass had not proved that its Secret can be written.
    SentUnproven,
    /// A step of the operator left no trace of a client whose answer was read and that is active.
    AnswerLost,
    /// The finalizer was removed while a create for the object was in flight.
    PlaceGone,
    /// Status recorded a new client although the pass had read a Secret that is bound to another one.
    ClientsMixed,
    /// The finalizer was removed although the Secret held an active client that the policy deactivates.
    LeftActive,
    /// `Ready=True` without the Secret, or with a client that is not as declared.
    ReadyUntrue,
    /// The vendor rejected the create, and status does not say so.
    RejectionHidden,
    /// A step changed nothing, so the plan names it again for ever.
    StepRepeated,
    /// A request named a client that is not this object's.
    ForeignCall,
    /// A Secret of another owner was written.
    ForeignSecret,
    /// A rotation was sent although one for the same token may still be carried out, or was acknowledged.
    RotatedAgain,
    /// A rotation was acknowledged before the Secret held the new secret.
    AcknowledgedEarly,
    /// An adoption erased the record of a create that was in flight.
    AttemptForgotten,
    /// A client was deactivated that an object or a lasting Secret has, and whose deletion was not requested.
    HeldDeactivated,
}

const P1: &str = "P1 no more creates than decisions";
const P1_ONE: &str = "P1 an object and its Secret name one client";
const P1_HELD: &str = "P1 an attempt is recorded until its outcome is known";
const P1_ROTATE: &str = "P1 a token rotates once";
const P2: &str = "P2 nothing is created or rotated that cannot be stored";
const P3: &str = "P3 nothing that was answered is lost";
const P3_PLACE: &str = "P3 the object outlives its create";
const P4: &str = "P4 Ready tells the truth";
const P4_TOKEN: &str = "P4 an acknowledged rotation is in the Secret";
const P5: &str = "P5 no client or Secret reaches another tenant";
const P6: &str = "P6 settled is silent";
const SETTLES: &str = "settles";

/// Writes and vendor calls after which an undisturbed world is at rest, or has progressed. `settles` checks the ends of paths
/// only; this rules out that two processes write for ever.
const MOST_EFFORTS: u8 = 12;
/// Attempts, and records of rotations, in any run.
const MOST_RECORDS: u8 = 12;

/// All properties. The `sometimes` show that a run gets to where the promises matter.
pub fn all() -> Vec<Property<System>> {
    vec![
        Property::always(P1, |system, w: &World| {
            let by_policy = u8::from(system.retries_itself);
            w.tally
                .iter()
                .all(|t| t.sent <= 1 + t.decisions + by_policy)
        }),
        Property::always(P1_ONE, |system, w: &World| match (w.object, w.secret) {
            _ if w.broken.contains(&Broken::ClientsMixed) => false,
            // Such a Secret may appear between the read of the Secret and the write of status.
            _ if system.budget.secrets > 0 => true,
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
        Property::always(P3, |_, w: &World| {
            let kinds = [Broken::AnswerLost, Broken::LeftActive];
            kinds.iter().all(|kind| !w.broken.contains(kind))
        }),
        Property::always(P3_PLACE, |_, w: &World| {
            !w.broken.contains(&Broken::PlaceGone)
        }),
        Property::always(P4, |_, w: &World| {
            let kinds = [Broken::ReadyUntrue, Broken::RejectionHidden];
            kinds.iter().all(|kind| !w.broken.contains(kind))
        }),
        Property::always(P5, |_, w: &World| {
            let kinds = [
                Broken::ForeignCall,
                Broken::ForeignSecret,
                Broken::HeldDeactivated,
            ];
            kinds.iter().all(|kind| !w.broken.contains(kind))
        }),
        Property::always(P6, |_, w: &World| {
            let records = w.attempts.max(w.records);
            let bounded = w.efforts <= MOST_EFFORTS && records <= MOST_RECORDS;
            bounded && !w.broken.contains(&Broken::StepRepeated)
        }),
        Property::eventually(SETTLES, |system, w: &World| {
            w.calm && at_rest(system, w) && settled(system, w)
        }),
        Property::sometimes("ready", |_, w: &World| shows(w, Shown::Ready)),
        Property::sometimes("held", |_, w: &World| shows(w, Shown::Held)),
        Property::sometimes("rejected", |_, w: &World| shows(w, Shown::Rejected)),
        Property::sometimes("retried", |system, w: &World| {
            let decided = |t: &Tally| t.decisions > 0 || system.retries_itself;
            w.tally.iter().any(|t| decided(t) && t.sent > 1)
        }),
        Property::sometimes("orphaned", |_, w: &World| {
            w.processes.iter().any(|p| !p.orphans.is_empty())
        }),
        Property::sometimes("waiting", |_, w: &World| {
            let open = |o: Object| o.shown == Shown::Waiting && o.attempt.is_some();
            w.object.is_some_and(open)
        }),
        Property::sometimes("update not applied", |_, w: &World| {
            w.object.is_some_and(|object| object.not_applied)
        }),
        Property::sometimes("attempt restored", |_, w: &World| {
            let restored = |o: Object| !o.observed && o.attempt.is_some_and(|_| o.finalizer);
            w.left.empties == 0 && w.object.is_some_and(restored)
        }),
        Property::sometimes("rotated", |_, w: &World| {
            let handled = |o: Object| o.rotation.is_none() && o.shown == Shown::Ready;
            !w.carried_out.is_empty() && w.object.is_some_and(handled)
        }),
        Property::sometimes("not applied", |_, w: &World| {
            let accepted = |o: Object| o.rotation.is_some_and(|open| open.accepted);
            w.calm && w.object.is_some_and(accepted)
        }),
        Property::sometimes("adopted", |_, w: &World| {
            let adopted = |o: Object| o.bound && o.client == Some(HANDMADE);
            w.object.is_some_and(adopted) && shows(w, Shown::Ready)
        }),
        Property::sometimes("released", |_, w: &World| w.object.is_none()),
        Property::sometimes("taken up", |_, w: &World| {
            let again = |w: &World| w.tally.last().is_some_and(|t| t.sent == 0);
            w.uids > 1 && again(w) && shows(w, Shown::Ready)
        }),
    ]
}

fn shows(world: &World, shown: Shown) -> bool {
    world.object.is_some_and(|object| object.shown == shown)
}

/// Active clients whose answer was read, and that are recorded nowhere: not in the status of the object, not in a Secret that
/// will last, not in the memory of a process.
fn lost(world: &World) -> Vec<usize> {
    let mut kept: BTreeSet<ClientNo> = BTreeSet::new();
    if let Some(object) = &world.object {
        kept.extend(object.client.filter(|_| object.bound));
    }
    if let Some(Secret::Ours { owner, client, .. }) = world.secret
        && owner.is_none_or(|owner| world.lives(owner))
    {
        kept.insert(client);
    }
    for process in &world.processes {
        kept.extend(&process.orphans);
        for own in &process.attempts {
            if let Progress::Created(client) = own.progress {
                kept.insert(client);
            }
        }
    }
    let stray = |number: &usize| {
        let client = world.clients[*number];
        let kept = kept.iter().any(|kept| usize::from(*kept) == *number);
        client.answered && client.active && !client.excused && !kept
    };
    (1..world.clients.len()).filter(stray).collect()
}

/// Notes what a step of the operator lost: that is a broken promise.
pub fn account(world: &mut World) {
    if !lost(world).is_empty() {
        world.broken.insert(Broken::AnswerLost);
    }
}

/// Excuses what was lost otherwise: in a crash (the clientId is in the log), or because a person removed a record.
pub fn excuse(world: &mut World) {
    for number in lost(world) {
        world.clients[number].excused = true;
    }
}
