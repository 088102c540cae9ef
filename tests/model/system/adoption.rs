//! Adoption: what the model reads for the program's `adoption_fact`, and the GET that decides. One object; the model
//! `two_objects` has two.

use provident_core::api::Reason;
use provident_core::plan::{
    self, AdoptionFact, Candidate, Facts, Observation, Owner, ProofRead, RecordedClient,
    SecretFacts,
};

use super::apply::blocked;
use super::mistakes::Mistake;
use super::names::client_id;
use super::object::{Object, Proof, Secret};
use super::observe;
use super::process::Pass;
use super::properties::Broken;
use super::requests::pass;
use super::world::{Client, ClientNo, FOREIGN, HANDMADE, SecretNo, World};
use super::{Fault, System};

/// The fact, from the Secret that was just read.
pub fn fact(system: &System, pass: &Pass, secret: &SecretFacts) -> AdoptionFact {
    let facts = Facts {
        secret: secret.clone(),
        ..Facts::clone(&pass.facts)
    };
    if let RecordedClient::Bound(client) = &facts.record {
        // Out of a hold, the client is recorded before the Secret that proved it is taken over.
        let adopts =
            *client == client_id(HANDMADE) && pass.view.spec.adoption == Some(Proof::InPlace);
        return if plan::must_finish_adoption_in_place(&facts, adopts) {
            AdoptionFact::Proven {
                client: client.clone(),
                in_place: true,
            }
        } else {
            AdoptionFact::None
        };
    }
    if !plan::may_look_for_adoption(&facts) {
        return AdoptionFact::None;
    }
    let Some((client, in_place)) = target(pass) else {
        return AdoptionFact::None;
    };
    let fact = plan::adoption_fact(&Candidate {
        client: client_id(client).as_str(),
        stated: pass.view.spec.adoption.is_some(),
        secret: "",
        key: "",
        in_place,
        namespace: "",
        connection: "",
        allowed: system.may_adopt,
        held_elsewhere: false,
        proof: if in_place {
            proof_in_place(pass.secret, secret)
        } else {
            ProofRead::Text
        },
    });
    match fact {
        // Nothing depends on messages here.
        AdoptionFact::Refused(reason, _) => AdoptionFact::Refused(reason, String::new()),
        fact => fact,
    }
}

/// The client to adopt, and whether the proof is in the object's own Secret: what the spec names, else what status names
/// without a valid binding, as after the loss of the key.
fn target(pass: &Pass) -> Option<(ClientNo, bool)> {
    match pass.view.spec.adoption {
        Some(Proof::Right) => Some((HANDMADE, false)),
        Some(Proof::InPlace) => Some((HANDMADE, true)),
        Some(Proof::Wrong | Proof::Leaked) => Some((FOREIGN, false)),
        None => Some((pass.view.client.filter(|_| !pass.view.bound)?, true)),
    }
}

fn proof_in_place(secret: Option<Secret>, facts: &SecretFacts) -> ProofRead {
    let suitable = match facts {
        SecretFacts::Unread | SecretFacts::Absent => return ProofRead::NoSecret,
        SecretFacts::Present { owner, .. } => match owner {
            Owner::This | Owner::None => true,
            Owner::Former | Owner::Other => false,
        },
    };
    match secret.and_then(content) {
        None => ProofRead::Empty,
        Some(_) if !suitable => ProofRead::Unsuitable(String::new()),
        Some(_) => ProofRead::Text,
    }
}

/// The client whose secret a Secret contains, and the number of that secret.
fn content(secret: Secret) -> Option<(ClientNo, SecretNo)> {
    match secret {
        Secret::Ours { client, no, .. } => Some((client, no)),
        Secret::Handmade(no) => Some((HANDMADE, no)),
        Secret::Forged { .. } => Some((FOREIGN, SecretNo::MAX)),
        Secret::Stranger => None,
    }
}

/// GETs the client and compares its secret with the proof.
pub fn adopt(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    fault: Fault,
) -> Observation {
    world.efforts += u8::from(world.calm);
    if !system.may_adopt {
        world.broken.insert(Broken::ForeignCall);
    }
    let Client { gone, shown, .. } = *world.client(client);
    let pass = pass(world, p);
    if fault != Fault::None {
        return blocked(Reason::VendorUnavailable);
    }
    let adoption = pass.view.spec.adoption;
    let equal = match adoption {
        Some(Proof::Right | Proof::Leaked) => true,
        Some(Proof::Wrong) => false,
        Some(Proof::InPlace) | None => pass.secret.and_then(content) == Some((client, shown)),
    };
    if gone || !(equal || system.mistake == Some(Mistake::AdoptedUncompared)) {
        return blocked(match adoption {
            Some(_) => Reason::AdoptionRejected,
            None => Reason::BindingMismatch,
        });
    }
    Observation::Client(observe::answer(system, world, p, client, true))
}

/// An adopted client that status now records is the operator's to account for.
pub fn recorded(world: &mut World, object: &Object, adoption: &AdoptionFact) {
    let adopted = match adoption {
        AdoptionFact::Proven { .. } => object.client.filter(|_| object.bound),
        AdoptionFact::None | AdoptionFact::Refused(..) | AdoptionFact::Proof { .. } => None,
    };
    if let Some(client) = adopted {
        world.client(client).answered = true;
        world.client(client).excused = false;
    }
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
