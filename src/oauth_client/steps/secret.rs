//! The steps that write the Secret.

use kube::ResourceExt;
use kube::api::PostParams;
use provident_core::api::{EventReason, Reason};
use provident_core::plan::{
    AttemptState, Blocked, Content, Facts, Observation, Owner, Requeue, SecretFacts,
};
use provident_core::secret::{self, SecretMetadata};
use provident_core::vendor::types::ClientId;
use tracing::info;

use crate::cluster;
use crate::oauth_client::held::{Held, post_params};
use crate::oauth_client::observe::terminating::namespace_is_terminating;
use crate::oauth_client::{Abort, SOON};

/// Writes the Secret from the credentials at hand.
pub(crate) async fn write(
    facts: &Facts,
    held: &mut Held,
    id: &ClientId,
) -> Result<Observation, Abort> {
    let Some(desired) = held.desired_secret(id) else {
        return Ok(Observation::Blocked(Blocked::new(
            Reason::ConnectionNotReady,
            "The connection was deleted, so tokenUrl cannot be written to the Secret",
            Requeue::Backoff,
        )));
    };
    let just_created = facts
        .attempt
        .as_ref()
        .filter(|attempt| matches!(attempt.state, AttemptState::Created(_)))
        .and_then(|attempt| held.ctx.state.attempts.age(&attempt.id));
    if just_created.is_some_and(|age| age > held.ctx.config.secret_first_within()) {
        // Another process may soon consider this attempt abandoned, and no resourceVersion guards the Secret against that:
        // status, which has one, comes first.
        return Ok(Observation::SecretTooLate);
    }
    // A Secret that is known by its version must be read to be replaced. The plan decides again if that shows another one.
    if held.secret.is_none() && facts.secret != SecretFacts::Absent {
        held.read_secret().await?;
        let now = match &held.secret {
            Some(_) => held.compare_secret(&facts.secret, id),
            None => SecretFacts::Absent,
        };
        if now.content() == Content::Current || !has_same_owner(&facts.secret, &now) {
            return Ok(Observation::Secret(now));
        }
    }
    if just_created.is_none() {
        check_not_deleting(held).await?;
    }
    let api = held.ctx.secrets(&held.namespace());
    let written = match &held.secret {
        // Create, never apply: a foreign Secret that appeared meanwhile is not overwritten.
        None => api.create(&post_params(false), &desired).await,
        Some(observed) => {
            let merged = secret::merge(observed, &desired);
            api.replace(held.object.secret_name(), &post_params(false), &merged)
                .await
        }
    };
    match written {
        Ok(secret) => {
            let repaired = is_repair(held);
            info!(secret = held.object.secret_name(), client_id = %id, "Wrote Secret");
            let now = held.secret_facts(&SecretMetadata::of(&secret.metadata), Content::Current);
            held.secret = Some(secret);
            if repaired {
                note_repair(held).await;
            }
            Ok(Observation::Secret(now))
        }
        // It disappeared between the read and the write.
        Err(error) if cluster::is_not_found(&error) => Err(Abort::Requeue(SOON)),
        // Also our own write, answered 504 and yet done: reading it shows whose it is.
        Err(error) if cluster::is_already_exists(&error) || cluster::is_conflict(&error) => {
            held.read_secret().await?;
            if held.secret.is_none() {
                return Err(Abort::Requeue(SOON));
            }
            let now = held.compare_secret(&facts.secret, id);
            match &now {
                SecretFacts::Present {
                    owner: Owner::Other | Owner::None,
                    ..
                }
                | SecretFacts::Present {
                    content: Content::Current,
                    ..
                } => Ok(Observation::Secret(now)),
                _ => Err(Abort::Requeue(SOON)),
            }
        }
        Err(error) => refused(held, error).map(Observation::Blocked),
    }
}

async fn note_repair(held: &Held) {
    held.ctx.metrics.outcomes.repaired();
    held.ctx.state.repairs.note(&held.uid());
    let note = format!(
        "Repaired Secret {}, which had been changed or deleted",
        held.object.secret_name()
    );
    held.event(EventReason::SecretRepaired, &note).await;
}

// Another writer changed or deleted what this generation stored. An edit, a new client or a new secret is no repair.
fn is_repair(held: &Held) -> bool {
    let stored = held.recorded_secret_version();
    let observed = held.secret.as_ref().and_then(ResourceExt::resource_version);
    stored.is_some() && stored != observed.as_deref()
}

// A repair must not bring a Secret back for an object that is gone or being deleted.
async fn check_not_deleting(held: &Held) -> Result<(), Abort> {
    match held.live().await?.metadata.deletion_timestamp {
        None => Ok(()),
        Some(_) => Err(Abort::StaleView),
    }
}

/// Removes our owner reference from the Secret.
pub(crate) async fn disown(held: &mut Held) -> Result<Observation, Abort> {
    let api = held.ctx.secrets(&held.namespace());
    let name = held.object.secret_name().to_owned();
    let written = match api.get_opt(&name).await {
        Ok(Some(observed)) => {
            let disowned = secret::disown(&observed, &held.object);
            api.replace(&name, &PostParams::default(), &disowned).await
        }
        Ok(None) => return Ok(Observation::Secret(SecretFacts::Absent)),
        Err(error) => Err(error),
    };
    match written {
        Ok(secret) => {
            let metadata = SecretMetadata::of(&secret.metadata);
            Ok(Observation::Secret(
                held.secret_facts(&metadata, Content::Unknown),
            ))
        }
        Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => {
            Err(Abort::Requeue(SOON))
        }
        // It dies with its namespace, and perhaps the right to write it did already: there is nothing to wait for.
        Err(error)
            if cluster::refusal(&error).is_some() && namespace_is_terminating(held).await? =>
        {
            Ok(Observation::Secret(SecretFacts::Absent))
        }
        Err(error) => refused(held, error).map(Observation::Blocked),
    }
}

/// The report on a Secret write that the API server refused. Its own words are not shown: the request held credentials, and
/// an admission policy may quote it.
pub(crate) fn refused(held: &Held, error: kube::Error) -> Result<Blocked, Abort> {
    let Some(code) = cluster::refusal(&error) else {
        return Err(Abort::Api(error));
    };
    let secret = held.secret.as_ref();
    let immutable = secret.is_some_and(|secret| secret.immutable == Some(true));
    let name = held.object.secret_name();
    if immutable && code == 422 {
        let message = format!(
            "spec.secret.name: Secret {name} is immutable and has the wrong content. Delete it, and the operator recreates it"
        );
        return Ok(Blocked::new(
            Reason::SecretImmutable,
            message,
            Requeue::Backoff,
        ));
    }
    let message = format!(
        "The API server refused to write Secret {name} ({code}). Check quotas, admission policies and the operator's rights in \
         namespace {}. The client is recorded and nothing is lost",
        held.namespace()
    );
    Ok(Blocked::new(
        Reason::SecretWriteDenied,
        message,
        Requeue::Backoff,
    ))
}

fn has_same_owner(before: &SecretFacts, now: &SecretFacts) -> bool {
    match (before, now) {
        (SecretFacts::Present { owner, .. }, SecretFacts::Present { owner: other, .. }) => {
            owner == other
        }
        _ => before == now,
    }
}
