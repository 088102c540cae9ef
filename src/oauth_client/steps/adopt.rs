//! Adoption: taking over a client that exists already, by the proof of its current secret.

use aws_lc_rs::constant_time;
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};
use tracing::info;

use crate::oauth_client::observe::Pass;
use crate::oauth_client::observe::ownership::OtherHolder;
use crate::oauth_client::steps::stop;
use crate::oauth_client::{Abort, SOON};
use provident_core::api::{ClientSecretRef, DriftPolicy, Reason};
use provident_core::plan::{
    self, AdoptionFact, AttemptState, Binding, ConnectionFacts, Owner, RecordedClient, Requeue,
    SecretFacts,
};
use provident_core::secret::{self, SecretMetadata};
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::ClientId;

impl Pass {
    pub async fn observe_adoption(&mut self) -> Result<(), Abort> {
        if let RecordedClient::Bound(client) = self.facts.record.clone() {
            return self.observe_taking_over(client).await;
        }
        let runs = self.facts.attempt.as_ref().is_some_and(|attempt| {
            !matches!(
                attempt.state,
                AttemptState::Abandoned | AttemptState::Unknown(_)
            )
        });
        let wanted = matches!(
            self.facts.record,
            RecordedClient::Empty | RecordedClient::Unverified
        ) && plan::client(&self.facts).is_none()
            && self.facts.connection == ConnectionFacts::Usable;
        if !wanted || runs || self.facts.deleting {
            return Ok(());
        }
        self.facts.adoption = if let Some(adoption) = self.object.spec.adoption.clone() {
            match self
                .prove(&adoption.client_id, &adoption.secret_key_ref)
                .await?
            {
                Ok(proof) => proof,
                Err((reason, message)) => AdoptionFact::Refused(reason, message),
            }
        } else if self.facts.record == RecordedClient::Unverified {
            // The binding key was replaced, or somebody wrote into status: the object's own Secret tells which.
            self.prove_by_own_secret().await?
        } else {
            AdoptionFact::None
        };
        Ok(())
    }

    // Out of a hold the client is recorded before the Secret that proved it is taken over: what was begun may be finished.
    async fn observe_taking_over(&mut self, client: ClientId) -> Result<(), Abort> {
        let unowned = matches!(
            self.facts.secret,
            SecretFacts::Present {
                owner: Owner::None,
                binding: Binding::Missing,
                ..
            }
        );
        let named = self.object.spec.adoption.as_ref().is_some_and(|adoption| {
            adoption.client_id == client.as_str()
                && adoption.secret_key_ref.name == self.object.secret_name()
        });
        if !unowned || !named || self.facts.deleting {
            return Ok(());
        }
        let name = self.object.secret_name().to_owned();
        if let Some(found) = self.proof_secret(&name, true).await?
            && self.keeps_from_taking_over(&found).is_none()
        {
            self.facts.adoption = AdoptionFact::Proven {
                client,
                in_place: true,
            };
        }
        Ok(())
    }

    async fn prove_by_own_secret(&mut self) -> Result<AdoptionFact, Abort> {
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.client_id.clone());
        let (Some(id), Some(key)) = (recorded, secret::key_of_the_secret(&self.object)) else {
            return Ok(AdoptionFact::None);
        };
        let own = ClientSecretRef {
            name: self.object.secret_name().to_owned(),
            key,
        };
        Ok(self.prove(&id, &own).await?.unwrap_or(AdoptionFact::None))
    }

    // What may be adopted with which proof, or why not.
    async fn prove(
        &mut self,
        id: &str,
        proof: &ClientSecretRef,
    ) -> Result<Result<AdoptionFact, (Reason, String)>, Abort> {
        let rejected = |message: String| Ok(Err((Reason::AdoptionRejected, message)));
        let Some(client) = ClientId::parse(id) else {
            return rejected("spec.adoption.clientId: not a clientId".to_owned());
        };
        if !self.may_adopt {
            return rejected(format!(
                "spec.adoption: connection {} does not let namespace {} take over clients. Ask its owner for adoption: true in \
                 the rule of spec.access that names this namespace",
                self.object.spec.connection_ref.name,
                self.namespace()
            ));
        }
        match self.elsewhere(&client) {
            OtherHolder::No => {}
            OtherHolder::Yes { .. } => {
                let message = "spec.adoption.clientId: another OAuthClient has this client. Delete that one with deletionPolicy: Retain \
                               first, or name another client";
                return Ok(Err((Reason::ClientInUse, message.to_owned())));
            }
            OtherHolder::Unclear => return Err(Abort::Requeue(SOON)),
        }
        let in_place = proof.name == self.object.secret_name();
        let Some(found) = self.proof_secret(&proof.name, in_place).await? else {
            return rejected(format!(
                "spec.adoption.secretKeyRef: there is no Secret {}. Create it with the client's current secret under key {}",
                proof.name, proof.key
            ));
        };
        let bytes = found.data.as_ref().and_then(|data| data.get(&proof.key));
        let text = bytes
            .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
            .map(str::trim)
            .unwrap_or_default();
        if text.is_empty() {
            return rejected(format!(
                "spec.adoption.secretKeyRef: Secret {} has no text under key {}. Put the client's current secret there",
                proof.name, proof.key
            ));
        }
        if in_place && let Some(why) = self.keeps_from_taking_over(&found) {
            return rejected(format!(
                "spec.adoption.secretKeyRef: Secret {} {why}",
                proof.name
            ));
        }
        self.proof = Some(SecretString::from(text));
        Ok(Ok(AdoptionFact::Proof { client, in_place }))
    }

    // The object's own Secret must be in hand whole, to be compared and replaced.
    async fn proof_secret(&mut self, name: &str, in_place: bool) -> Result<Option<Secret>, Abort> {
        if in_place && self.secret.is_some() {
            return Ok(self.secret.clone());
        }
        if in_place {
            self.read_secret().await?;
            return Ok(self.secret.clone());
        }
        let secrets = self.ctx.secrets(&self.namespace());
        secrets.get_opt(name).await.map_err(Abort::Api)
    }

    fn keeps_from_taking_over(&self, found: &Secret) -> Option<String> {
        if !matches!(
            SecretMetadata::of(&found.metadata).owner(&self.object),
            Owner::This | Owner::None
        ) {
            return Some(
                "is controlled by another object and cannot be taken over. Copy its value to a Secret of another name".to_owned(),
            );
        }
        if found
            .type_
            .as_deref()
            .is_some_and(|type_| type_ != secret::OPAQUE)
        {
            return Some(
                "is not of type Opaque and cannot be taken over. Copy its value to a Secret of another name".to_owned(),
            );
        }
        let declared = secret::keys(&self.object);
        let others: Vec<&str> = found
            .data
            .iter()
            .flat_map(|data| data.keys())
            .map(String::as_str)
            .filter(|key| !declared.contains(*key))
            .collect();
        (!others.is_empty()).then(|| {
            format!(
                "has keys that spec.secret.stringData does not declare: {}. Declare them, or remove them",
                others.join(", ")
            )
        })
    }

    /// Asks for the client and compares its secret with the one at hand. Only then is it this object's.
    pub async fn adopt(&mut self, id: &ClientId) -> Result<(), Abort> {
        let Some(guard) = self.ctx.names.take(format!("adopt/{id}")) else {
            return Err(Abort::Requeue(SOON));
        };
        self.name_guard = Some(guard);
        if self.elsewhere(id) != OtherHolder::No {
            return Err(Abort::Requeue(SOON));
        }
        let connection = self.connection()?;
        let permit = self.turn(&connection).await?;
        let client = match connection.client.get(permit, id).await {
            Ok(client) => client,
            Err(CallError::NotFound) if connection.is_account_verified() => {
                return Err(self.not_adopted(&format!(
                    "spec.adoption.clientId: the vendor has no client {id}. Correct it, or remove spec.adoption to have a new client"
                )));
            }
            Err(error) => return Err(self.told(&connection, &error)),
        };
        let equal = match (&client.client_secret, &self.proof) {
            (Some(secret), Some(proof)) => constant_time::verify_slices_are_equal(
                secret.expose_secret().as_bytes(),
                proof.expose_secret().as_bytes(),
            )
            .is_ok(),
            _ => false,
        };
        if !equal {
            return Err(self.not_adopted(
                "spec.adoption.secretKeyRef: the value there is not the client's current secret. Put the current one there",
            ));
        }
        let in_place = matches!(
            self.facts.adoption,
            AdoptionFact::Proof { in_place: true, .. }
        );
        self.facts.adoption = AdoptionFact::Proven {
            client: id.clone(),
            in_place,
        };
        self.proved(&connection);
        info!(client_id = %id, in_place, "adopted the client");
        self.found(client, false);
        self.tell_of_adoption(id).await;
        Ok(())
    }

    // Before the first PUT, so that nobody is surprised by it.
    async fn tell_of_adoption(&self, id: &ClientId) {
        let differs = match &self.facts.vendor {
            plan::Vendor::Found(found) => plan::names(&found.differs),
            _ => String::new(),
        };
        let then = match self.object.spec.drift_policy {
            _ if differs.is_empty() => "it equals the spec".to_owned(),
            DriftPolicy::Correct => format!("changed to what the spec states now: {differs}"),
            DriftPolicy::Report => {
                format!("driftPolicy is Report, so these fields stay as they are: {differs}")
            }
        };
        let note = format!("Adopted the client {id}; {then}");
        self.event(false, Reason::Available, &note).await;
    }

    // Where nobody asked for an adoption, what is wrong is the binding.
    fn not_adopted(&self, message: &str) -> Abort {
        let stated = self.object.spec.adoption.is_some();
        if stated {
            return stop(Reason::AdoptionRejected, message, Requeue::Backoff);
        }
        let message = "status.clientId: its binding does not hold, and the object's own Secret does not prove it. Restore the object and \
                       its Secret from one backup, or name the client in spec.adoption";
        stop(Reason::BindingMismatch, message, Requeue::Verification)
    }
}
