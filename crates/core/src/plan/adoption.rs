//! Whether an existing client may be adopted, and with which proof. The executor reads; the rules are here, once.

use super::facts::AdoptionFact;
use crate::api::Reason;
use crate::vendor::types::ClientId;

/// The client to adopt, and what was read about it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its clientId, unchecked.
    pub client: &'a str,
    /// `spec.adoption` names it. Otherwise status does, without a valid binding.
    pub stated: bool,
    /// Name of the Secret with the proof.
    pub secret: &'a str,
    /// Its key.
    pub key: &'a str,
    /// That is the very Secret that is to hold the credentials.
    pub in_place: bool,
    /// The object's namespace.
    pub namespace: &'a str,
    /// Name of its connection.
    pub connection: &'a str,
    /// The connection allows this namespace to adopt clients.
    pub allowed: bool,
    /// Another object has the client.
    pub held_elsewhere: bool,
    /// What the Secret holds.
    pub proof: ProofRead,
}

/// What the Secret with the proof holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofRead {
    /// Text under the key.
    Text,
    /// No text under the key.
    Empty,
    /// There is no such Secret.
    NoSecret,
    /// It must not be taken over, for this reason: a clause that follows the Secret's name.
    Unsuitable(String),
}

/// The fact that follows. A client that the object does not ask to adopt is never reported as refused: its binding is what is wrong then.
#[must_use]
pub fn adoption_fact(candidate: &Candidate<'_>) -> AdoptionFact {
    match check(candidate) {
        Ok(client) => AdoptionFact::Proof {
            client,
            in_place: candidate.in_place,
        },
        Err((reason, message)) if candidate.stated => AdoptionFact::Refused(reason, message),
        Err(_) => AdoptionFact::None,
    }
}

fn check(candidate: &Candidate<'_>) -> Result<ClientId, (Reason, String)> {
    let rejected = |message: String| Err((Reason::AdoptionRejected, message));
    let Candidate {
        secret,
        key,
        namespace,
        connection,
        ..
    } = candidate;
    let Some(client) = ClientId::parse(candidate.client) else {
        return rejected("spec.adoption.clientId: not a valid clientId".to_owned());
    };
    if !candidate.allowed {
        return rejected(format!(
            "spec.adoption: connection {connection} does not allow namespace {namespace} to adopt clients. Ask its owner to set \
             allowAdoption: true in the rule of spec.access that matches this namespace"
        ));
    }
    if candidate.held_elsewhere {
        let message = "spec.adoption.clientId: another OAuthClient has this client. Delete that OAuthClient with deletionPolicy: Retain \
                       first, or name another client";
        return Err((Reason::ClientInUse, message.to_owned()));
    }
    match &candidate.proof {
        ProofRead::Text => Ok(client),
        ProofRead::NoSecret => rejected(format!(
            "spec.adoption.secretKeyRef: Secret {secret} does not exist. Create it with the client's current secret under key {key}"
        )),
        ProofRead::Empty => rejected(format!(
            "spec.adoption.secretKeyRef: Secret {secret} has no text under key {key}. Store the client's current secret there"
        )),
        ProofRead::Unsuitable(why) => {
            rejected(format!("spec.adoption.secretKeyRef: Secret {secret} {why}"))
        }
    }
}
