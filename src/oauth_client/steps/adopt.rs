//! Adoption: takes over an existing client on proof of its current secret.

use aws_lc_rs::constant_time;
use provident_core::api::{DriftPolicy, EventReason, Reason};
use provident_core::plan::{
    AdoptionFact, Blocked, ClientAnswer, Facts, Observation, Requeue, names, unproven_secret,
};
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::ClientId;
use secrecy::ExposeSecret;
use tracing::info;

use super::vendor::{acquire_permit, blocked_by_call, connection, note_success};
use crate::oauth_client::held::{Held, Proof};
use crate::oauth_client::observe::ownership::{OtherHolder, other_holder};
use crate::oauth_client::{Abort, SOON};

/// Asks for the client and compares its secret with the proof. Only then does it belong to this object.
pub(crate) async fn adopt(
    facts: &Facts,
    held: &mut Held,
    id: &ClientId,
) -> Result<Observation, Abort> {
    held.take_lock(format!("adopt/{id}"))?;
    if other_holder(held, id) != OtherHolder::No {
        return Err(Abort::Requeue(SOON));
    }
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let permit = acquire_permit(held, &connection).await?;
    let client = match connection.client.get(permit, id).await {
        Ok(client) => client,
        Err(CallError::NotFound) if connection.is_account_verified() => {
            let message = format!(
                "spec.adoption.clientId: client {id} does not exist at the vendor. Correct it, or remove spec.adoption to create a new client"
            );
            return Ok(rejected(held, message));
        }
        Err(error) => {
            return Ok(Observation::Blocked(blocked_by_call(
                held,
                &connection,
                &error,
            )));
        }
    };
    let proven = match (&client.client_secret, &held.proof) {
        (Some(secret), Some(Proof::Text(proof))) => constant_time::verify_slices_are_equal(
            secret.expose_secret().as_bytes(),
            proof.expose_secret().as_bytes(),
        )
        .is_ok(),
        (Some(_), Some(Proof::OwnSecret)) => held.own_secret_proves(id, &client),
        _ => false,
    };
    if !proven {
        let message = "spec.adoption.secretKeyRef: the value is not the client's current secret. Store the current secret there";
        return Ok(rejected(held, message.to_owned()));
    }
    note_success(held, &connection);
    let in_place = matches!(facts.adoption, AdoptionFact::Proof { in_place: true, .. });
    info!(client_id = %id, in_place, "Adopted client");
    let answer = held.take_client(facts, id, client);
    announce(held, id, &answer).await;
    Ok(Observation::Client(answer))
}

// Published before the first PUT, so that the change is announced before it happens.
async fn announce(held: &Held, id: &ClientId, answer: &ClientAnswer) {
    let differs = names(&answer.differs);
    let then = match held.object.spec.drift_policy {
        _ if differs.is_empty() => "it equals the spec".to_owned(),
        DriftPolicy::Correct => format!("updating it to match the spec: {differs}"),
        DriftPolicy::Report => {
            format!("driftPolicy is Report, so these fields stay as they are: {differs}")
        }
    };
    let note = format!("Adopted client {id}; {then}");
    held.event(EventReason::ClientAdopted, &note).await;
}

// Where nobody asked for an adoption, the binding is what is wrong.
fn rejected(held: &Held, message: String) -> Observation {
    if matches!(held.proof, Some(Proof::OwnSecret)) {
        let message = unproven_secret(held.object.secret_name());
        return Observation::Blocked(Blocked::new(
            Reason::BindingMismatch,
            format!("spec.secret.name: {message}"),
            Requeue::Verification,
        ));
    }
    Observation::Blocked(if held.object.spec.adoption.is_some() {
        Blocked::new(Reason::AdoptionRejected, message, Requeue::Backoff)
    } else {
        let message = "status.clientId: its binding is not valid, and the object's own Secret does not prove it. Restore the object and \
                       its Secret from the same backup, or name the client in spec.adoption";
        Blocked::new(Reason::BindingMismatch, message, Requeue::Verification)
    })
}
