//! The step that reads the Secret, and with it what proves an adoption.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use provident_core::api::{
    ALLOW_ADOPTION, BINDING_ANNOTATION, ClientSecretRef, MANAGED_LABEL, MANAGER,
};
use provident_core::binding::Verification;
use provident_core::plan::ProofRead;
use provident_core::plan::{
    AdoptionFact, Binding, Candidate, Content, Facts, Observation, Owner, RecordedClient,
    SecretFacts, adoption_fact, may_look_for_adoption, must_finish_adoption_in_place,
};
use provident_core::secret::{self, SecretMetadata};
use provident_core::vendor::types::ClientId;
use secrecy::SecretString;

use super::ownership::{OtherHolder, other_holder};
use crate::oauth_client::held::{Held, Proof};
use crate::oauth_client::{Abort, SOON};

/// Reads the Secret, and what `spec.adoption` names.
pub(crate) async fn read_secret(facts: &Facts, held: &mut Held) -> Result<Observation, Abort> {
    let mut secret = held.read_secret().await?;
    // A Secret that no watch shows may still have the version that status records.
    let recorded = held.recorded_secret_version();
    let version = held.secret.as_ref().and_then(ResourceExt::resource_version);
    if recorded.is_some() && version.as_deref() == recorded {
        secret = secret.with_content(Content::Current);
    }
    let adoption = adoption(facts, &secret, held).await?;
    Ok(Observation::SecretRead { secret, adoption })
}

async fn adoption(
    facts: &Facts,
    secret: &SecretFacts,
    held: &mut Held,
) -> Result<AdoptionFact, Abort> {
    let facts = Facts {
        secret: secret.clone(),
        ..facts.clone()
    };
    if let RecordedClient::Bound(client) = &facts.record {
        return Ok(unfinished_in_place(&facts, client, held));
    }
    if !may_look_for_adoption(&facts) {
        return Ok(AdoptionFact::None);
    }
    if let Some(client) = former_client(&facts, held) {
        return prove_by_own_secret(held, client);
    }
    let spec = held.object.spec.adoption.clone();
    let target = match (spec, &facts.record) {
        (Some(adoption), _) => Some((adoption.client_id, adoption.secret_key_ref, true)),
        // The binding key was replaced, or somebody wrote into status: the object's own Secret shows which.
        (None, RecordedClient::Unverified) => own_proof(held),
        (None, _) => None,
    };
    match target {
        Some((client, proof, stated)) => prove(held, &client, &proof, stated).await,
        None => Ok(AdoptionFact::None),
    }
}

// Out of a hold the client is recorded before the Secret that proved it is taken over.
fn unfinished_in_place(facts: &Facts, client: &ClientId, held: &Held) -> AdoptionFact {
    let adopts = held.object.spec.adoption.as_ref().is_some_and(|adoption| {
        adoption.client_id == client.as_str()
            && adoption.secret_key_ref.name == held.object.secret_name()
    });
    let suitable = held
        .secret
        .as_ref()
        .is_some_and(|found| unsuitable(held, found).is_none());
    if suitable && must_finish_adoption_in_place(facts, adopts) {
        AdoptionFact::Proven {
            client: client.clone(),
            in_place: true,
        }
    } else {
        AdoptionFact::None
    }
}

// The client that was recorded for an object of this name in a former namespace of this name, in status or on the Secret that
// is to prove it. A restored object goes on with it, also where the spec still names the client that it adopted once.
fn former_client(facts: &Facts, held: &Held) -> Option<ClientId> {
    let SecretFacts::Present {
        owner: Owner::This | Owner::None,
        binding,
        ..
    } = &facts.secret
    else {
        return None;
    };
    match (&facts.record, binding) {
        (RecordedClient::Empty, Binding::FormerNamespace(client)) => Some(client.clone()),
        (RecordedClient::Unverified, _) => {
            let status = held.object.status.as_ref()?;
            let client = ClientId::parse(status.client_id.as_deref()?)?;
            let mac = status.binding_mac.as_deref()?;
            let verification = held.key.as_ref()?.verify(held.bound(), &client, mac);
            (verification == Verification::FormerNamespace).then_some(client)
        }
        _ => None,
    }
}

fn prove_by_own_secret(held: &mut Held, client: ClientId) -> Result<AdoptionFact, Abort> {
    match other_holder(held, &client) {
        OtherHolder::Unclear => return Err(Abort::Requeue(SOON)),
        OtherHolder::Yes { .. } => return Ok(AdoptionFact::None),
        OtherHolder::No => {}
    }
    if held.secret.as_ref().is_some_and(is_of_other_type) {
        return Ok(AdoptionFact::None);
    }
    held.proof = Some(Proof::OwnSecret);
    Ok(AdoptionFact::Proof {
        client,
        in_place: true,
    })
}

fn own_proof(held: &Held) -> Option<(String, ClientSecretRef, bool)> {
    let status = held.object.status.as_ref();
    let recorded = status.and_then(|status| status.client_id.clone())?;
    let proof = ClientSecretRef {
        name: held.object.secret_name().to_owned(),
        key: secret::key_of_the_secret(&held.object)?,
    };
    Some((recorded, proof, false))
}

async fn prove(
    held: &mut Held,
    client: &str,
    proof: &ClientSecretRef,
    stated: bool,
) -> Result<AdoptionFact, Abort> {
    let in_place = proof.name == held.object.secret_name();
    let held_elsewhere = match ClientId::parse(client).map(|id| other_holder(held, &id)) {
        Some(OtherHolder::Unclear) => return Err(Abort::Requeue(SOON)),
        Some(OtherHolder::Yes { .. }) => true,
        Some(OtherHolder::No) | None => false,
    };
    let namespace = held.namespace();
    let found = if in_place {
        held.secret.clone()
    } else {
        let secrets = held.ctx.secrets(&namespace);
        secrets.get_opt(&proof.name).await.map_err(Abort::Api)?
    };
    let read = match &found {
        None => ProofRead::NoSecret,
        Some(found) => match secret::text(found, &proof.key) {
            "" => ProofRead::Empty,
            text => {
                if let Some(why) = unsuitable(held, found).filter(|_| in_place) {
                    ProofRead::Unsuitable(why)
                } else {
                    held.proof = Some(Proof::Text(SecretString::from(text)));
                    ProofRead::Text
                }
            }
        },
    };
    Ok(adoption_fact(&Candidate {
        client,
        stated,
        secret: &proof.name,
        key: &proof.key,
        in_place,
        namespace: &namespace,
        connection: &held.object.spec.connection_ref.name,
        allowed: held.may_adopt,
        held_elsewhere,
        proof: read,
    }))
}

fn is_of_other_type(found: &Secret) -> bool {
    let type_ = found.type_.as_deref();
    type_.is_some_and(|type_| type_ != secret::OPAQUE)
}

// Why a Secret must not be taken over.
fn unsuitable(held: &Held, found: &Secret) -> Option<String> {
    let owner = SecretMetadata::of(&found.metadata).owner(&held.object);
    if !matches!(owner, Owner::This | Owner::None) {
        return Some(
            "is controlled by another object. Copy its value to a Secret of another name"
                .to_owned(),
        );
    }
    if is_of_other_type(found) {
        return Some(
            "is not of type Opaque. Copy its value to a Secret of another name".to_owned(),
        );
    }
    if let Some(why) = not_opted_in(held, found, owner) {
        return Some(why);
    }
    let declared = secret::keys(&held.object);
    let others: Vec<&str> = found
        .data
        .iter()
        .flat_map(|data| data.keys())
        .map(String::as_str)
        .filter(|key| !declared.contains(*key))
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "has keys that spec.secret.stringData does not declare: {}. Declare or remove them",
            others.join(", ")
        )
    })
}

// The admission policies let the operator take over only what its owner opted in, so that a stolen token cannot overwrite
// foreign Secrets; what is ours already needs no opt-in.
fn not_opted_in(held: &Held, found: &Secret, owner: Owner) -> Option<String> {
    let (name, namespace) = (found.name_any(), held.namespace());
    if namespace == held.ctx.config.namespace {
        return Some(
            "is in the operator's namespace, where no Secret is adopted in place. Copy its value to a Secret of another name"
                .to_owned(),
        );
    }
    let object = held.object.name_any();
    let annotations = found.annotations();
    let labelled = found
        .labels()
        .get(MANAGED_LABEL)
        .is_some_and(|label| label == MANAGER);
    let ours = annotations.contains_key(BINDING_ANNOTATION) || (owner == Owner::This && labelled);
    let allowed = annotations.get(ALLOW_ADOPTION) == Some(&object);
    (!ours && !allowed).then(|| {
        format!(
            "is not marked for adoption. Run: kubectl annotate secret {name} -n {namespace} {ALLOW_ADOPTION}={object}, or copy its \
             value to a Secret of another name"
        )
    })
}
