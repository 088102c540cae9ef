//! The steps around the Secret: reading it, the dry run of its write, the write, and giving up its ownership.

use provident_core::api::Reason;
use provident_core::plan::{self, Content, Observation, Owner, SecretFacts};

use super::apply::blocked;
use super::object::{Object, Proof, Secret};
use super::process::Verified;
use super::properties::Broken;
use super::requests::{abandon, pass};
use super::world::{ClientNo, World};
use super::{Fault, System, adoption, observe};

/// Reads the Secret, and what proves an adoption.
pub fn read(system: &System, world: &mut World, p: usize) -> Observation {
    let secret = observe::read_secret(system, world, p);
    let adoption = adoption::fact(system, pass(world, p), &secret);
    Observation::SecretRead { secret, adoption }
}

/// The dry run of the Secret write, and a permit of the limiter. `None` if the pass ended over it.
pub fn preflight(
    system: &System,
    world: &mut World,
    p: usize,
    fault: Fault,
) -> Option<Observation> {
    let has_client = plan::client(&pass(world, p).facts).is_some();
    pass(world, p).permit = true;
    if has_client {
        // The dry run carries the version that was read.
        if !pass(world, p).secret_read {
            observe::read_secret(system, world, p);
        }
        if !pass(world, p).secret_current {
            abandon(world, p);
            return None;
        }
    } else if world.secret.is_some() {
        return Some(if pass(world, p).facts.secret == SecretFacts::Unread {
            Observation::Secret(observe::read_secret(system, world, p))
        } else {
            blocked(Reason::SecretConflict)
        });
    }
    Some(match fault {
        Fault::Refused => blocked(Reason::SecretWriteDenied),
        _ => Observation::PreflightPassed,
    })
}

/// Writes the Secret from the credentials at hand. `None` if the pass ended over it.
pub fn write(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    fault: Fault,
) -> Option<Observation> {
    let view = pass(world, p).view;
    let just_created = world.processes[p].unstored(view.uid).is_some();
    if just_created && !pass(world, p).claim_recent {
        return Some(Observation::SecretTooLate);
    }
    let known = pass(world, p).facts.secret.clone();
    if !pass(world, p).secret_read && known != SecretFacts::Absent {
        let now = observe::read_secret(system, world, p);
        if now.content() == Content::Current || owner(&now) != owner(&known) {
            return Some(Observation::Secret(now));
        }
    }
    let lives = world
        .object
        .is_some_and(|live| live.uid == view.uid && !live.deleting);
    if !just_created && !lives {
        abandon(world, p);
        return None;
    }
    if fault == Fault::Refused {
        return Some(blocked(Reason::SecretWriteDenied));
    }
    let Some(Verified { no, .. }) = pass(world, p).verified else {
        abandon(world, p);
        return None;
    };
    if !pass(world, p).secret_current {
        return in_the_way(system, world, p);
    }
    let secret = Secret::Ours {
        owner: Some(view.uid),
        client,
        no,
        bound: true,
        verified: false,
    };
    let written = store(world, p, &view, Some(secret), fault);
    written.then(|| Observation::Secret(observe::secret_facts(secret, view.uid, Content::Current)))
}

fn owner(secret: &SecretFacts) -> Option<Owner> {
    match secret {
        SecretFacts::Present { owner, .. } => Some(*owner),
        SecretFacts::Unread | SecretFacts::Absent => None,
    }
}

/// The write was refused because the Secret is not what it was: reading it shows whose it is.
fn in_the_way(system: &System, world: &mut World, p: usize) -> Option<Observation> {
    let now = observe::read_secret(system, world, p);
    match &now {
        SecretFacts::Present {
            owner: Owner::Other | Owner::None,
            ..
        }
        | SecretFacts::Present {
            content: Content::Current,
            ..
        } => Some(Observation::Secret(now)),
        SecretFacts::Unread | SecretFacts::Absent | SecretFacts::Present { .. } => {
            abandon(world, p);
            None
        }
    }
}

/// Removes our owner reference, in one read and one write. `None` if the pass ended over it.
pub fn disown(world: &mut World, p: usize, fault: Fault) -> Option<Observation> {
    let view = pass(world, p).view;
    let Some(secret) = world.secret else {
        return Some(Observation::Secret(SecretFacts::Absent));
    };
    let disowned = if secret.owner() == Some(view.uid) {
        secret.disowned()
    } else {
        secret
    };
    let written = store(world, p, &view, Some(disowned), fault);
    written.then(|| {
        let facts = observe::secret_facts(disowned, view.uid, Content::Unknown);
        Observation::Secret(facts)
    })
}

/// Stores the Secret. False if the pass ended over it.
fn store(world: &mut World, p: usize, view: &Object, secret: Option<Secret>, fault: Fault) -> bool {
    if fault == Fault::RequestLost {
        abandon(world, p);
        return false;
    }
    let foreign = match world.secret {
        Some(Secret::Handmade(_)) => view.spec.adoption != Some(Proof::InPlace),
        Some(Secret::Stranger) => true,
        Some(Secret::Forged { owner }) => owner != Some(view.uid),
        Some(Secret::Ours { .. }) | None => false,
    };
    if foreign && world.secret != secret {
        world.broken.insert(Broken::ForeignSecret);
    }
    world.store_secret(Some(p), secret);
    if fault == Fault::AnswerLost {
        abandon(world, p);
        return false;
    }
    true
}
