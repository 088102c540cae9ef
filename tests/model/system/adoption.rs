//! Adoption: what may be adopted with which proof, and the GET that decides. The rules are those of `reconcile::adopt`,
//! with one object; `rivals` has two of them.

use provident_core::api::Reason;
use provident_core::plan::{
    self, AdoptionFact, AttemptState, ConnectionFacts, Facts, RecordedClient,
};

use super::mistakes::Mistake;
use super::names::client_id;
use super::process::Pass;
use super::properties::Broken;
use super::requests::pass;
use super::rotation::answered;
use super::world::{Client, ClientNo, FOREIGN, HANDMADE, Object, Proof, Secret, SecretNo, World};
use super::{Luck, System};

/// The fact, as the program's plan takes it; `facts` holds all the others.
pub fn fact(system: &System, pass: &Pass, facts: &Facts) -> AdoptionFact {
    if let Some((client, in_place)) = pass.adopted {
        let client = client_id(client);
        return AdoptionFact::Proven { client, in_place };
    }
    // Taken over in place out of a hold, where status goes before the Secret.
    if facts.record == RecordedClient::Bound(client_id(HANDMADE))
        && pass.view.spec.adoption == Some(Proof::InPlace)
        && matches!(pass.secret, Some(Secret::Handmade(_)))
    {
        let client = client_id(HANDMADE);
        return AdoptionFact::Proven {
            client,
            in_place: true,
        };
    }
    let runs =
        |state: &AttemptState| !matches!(state, AttemptState::Abandoned | AttemptState::Unknown(_));
    let wanted = matches!(
        facts.record,
        RecordedClient::Empty | RecordedClient::Unverified
    ) && plan::client(facts).is_none()
        && facts.connection == ConnectionFacts::Usable
        && !facts.deleting;
    if !wanted || facts.attempt.as_ref().is_some_and(|a| runs(&a.state)) {
        return AdoptionFact::None;
    }
    let stated = pass.view.spec.adoption;
    let Some((client, in_place)) = target(pass) else {
        return AdoptionFact::None;
    };
    let proof = !in_place || matches!(pass.secret, Some(secret) if content(secret).is_some());
    if system.may_adopt && proof {
        let client = client_id(client);
        return AdoptionFact::Proof { client, in_place };
    }
    match stated {
        Some(_) => AdoptionFact::Refused(Reason::AdoptionRejected, String::new()),
        None => AdoptionFact::None,
    }
}

/// The client, and whether the proof is in the Secret that the object is to have: what the spec names, else what status
/// does without a binding, as after the loss of the key.
fn target(pass: &Pass) -> Option<(ClientNo, bool)> {
    match pass.view.spec.adoption {
        Some(Proof::Right) => Some((HANDMADE, false)),
        Some(Proof::InPlace) => Some((HANDMADE, true)),
        Some(Proof::Wrong | Proof::Leaked) => Some((FOREIGN, false)),
        None => Some((pass.view.client.filter(|_| !pass.view.bound)?, true)),
    }
}

fn content(secret: Secret) -> Option<(ClientNo, SecretNo)> {
    match secret {
        Secret::Ours { client, no, .. } => Some((client, no)),
        Secret::Handmade(no) => Some((HANDMADE, no)),
        Secret::Forged { .. } => Some((FOREIGN, SecretNo::MAX)),
        Secret::Stranger => None,
    }
}

/// Asks for the client and compares its secret with the one at hand.
pub fn adopt(system: &System, world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    world.efforts += u8::from(world.calm);
    if !system.may_adopt {
        world.broken.insert(Broken::ForeignCall);
    }
    let Client { gone, shown, .. } = *world.client(client);
    let pass = pass(world, p);
    if luck != Luck::Good {
        pass.stop = Some(Reason::VendorUnavailable);
        return;
    }
    let in_place = target(pass).is_some_and(|(_, in_place)| in_place);
    let equal = match pass.view.spec.adoption {
        Some(Proof::Right | Proof::Leaked) => true,
        Some(Proof::Wrong) => false,
        Some(Proof::InPlace) | None => pass.secret.and_then(content) == Some((client, shown)),
    };
    if gone || !(equal || system.mistake == Some(Mistake::AdoptedUncompared)) {
        pass.stop = Some(Reason::AdoptionRejected);
        return;
    }
    pass.adopted = Some((client, in_place));
    let view = pass.view;
    let vendor = answered(world, p, client, &view);
    self::pass(world, p).vendor = vendor;
}

/// The client in status has become this object's by a report: from now on it is the operator's to account for.
pub fn bound(world: &mut World, object: &Object, adopted: Option<(ClientNo, bool)>) {
    let Some((client, _)) = adopted.filter(|_| object.bound) else {
        return;
    };
    world.client(client).answered = true;
    world.client(client).excused = false;
}

/// Whether the object's adoption waits for a person, at rest.
pub fn waits(world: &World, object: &Object) -> bool {
    let shown = world.clients.get(usize::from(HANDMADE)).map(|c| c.shown);
    match object.spec.adoption {
        None => false,
        Some(Proof::Wrong | Proof::Leaked) => true,
        Some(Proof::Right) => world.secret.is_some(),
        Some(Proof::InPlace) => world.secret.and_then(content) != shown.map(|no| (HANDMADE, no)),
    }
}
