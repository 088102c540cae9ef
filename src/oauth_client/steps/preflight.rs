//! The preflight: proves that a create or a rotation could be stored, without any effect.

use provident_core::api::Reason;
use provident_core::plan::{
    self, Blocked, Facts, Observation, Requeue, SecretFacts, conflict_message,
};
use provident_core::secret;

use super::secret::refused;
use super::vendor::{acquire_permit, blocked_by_call, connection};
use crate::cluster;
use crate::oauth_client::held::{Held, post_params};
use crate::oauth_client::observe::read_secret;
use crate::oauth_client::{Abort, SOON};

/// A permit of the limiter, a token, and a dry run of the very Secret write with values of the largest size. The dry run
/// meets rights, quota, admission, a foreign Secret of that name, and one that is immutable.
pub(crate) async fn preflight(facts: &Facts, held: &mut Held) -> Result<Observation, Abort> {
    // A client bound with a key that is gone would not be recognised after a restart.
    if let Some(loss) = held.ctx.state.key_loss.get() {
        let blocked = Blocked::new(Reason::BindingKeyMissing, loss.as_ref(), Requeue::Backoff);
        return Ok(Observation::Blocked(blocked));
    }
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let (namespace, name) = (held.namespace(), held.object.secret_name().to_owned());
    held.take_lock(format!("secret/{namespace}/{name}"))?;
    held.permit = Some(acquire_permit(held, &connection).await?);
    if let Err(error) = connection.client.authorize().await {
        let blocked = blocked_by_call(held, &connection, &error);
        return Ok(Observation::Blocked(blocked));
    }
    let largest = secret::largest(&held.object, &connection.client.token_url());
    let api = held.ctx.secrets(&namespace);
    let has_client = plan::client(facts).is_some();
    if has_client && held.secret.is_none() {
        held.secret = api.get_opt(&name).await.map_err(Abort::Api)?;
    }
    let tried = match &held.secret {
        Some(observed) if has_client => {
            let merged = secret::merge(observed, &largest);
            api.replace(&name, &post_params(true), &merged).await
        }
        _ => api.create(&post_params(true), &largest).await,
    };
    match tried {
        Ok(_) => Ok(Observation::PreflightPassed),
        // Another writer is changing the Secret right now.
        Err(error) if has_client && cluster::is_conflict(&error) => Err(Abort::Requeue(SOON)),
        // It disappeared between the read and the dry run.
        Err(error) if has_client && cluster::is_not_found(&error) => Err(Abort::Requeue(SOON)),
        Err(error) if has_client => refused(held, error).map(Observation::Blocked),
        Err(error) if facts.secret == SecretFacts::Unread => {
            let read = read_secret(facts, held).await?;
            // A quota's refusal does not show whether there is a Secret. If there is one, the plan decides what it means.
            if held.secret.is_some() || cluster::is_already_exists(&error) {
                Ok(read)
            } else {
                would_be_refused(&name, error).map(Observation::Blocked)
            }
        }
        Err(error) => would_be_refused(&name, error).map(Observation::Blocked),
    }
}

fn would_be_refused(name: &str, error: kube::Error) -> Result<Blocked, Abort> {
    if cluster::is_already_exists(&error) {
        return Ok(Blocked::new(
            Reason::SecretConflict,
            conflict_message(name),
            Requeue::Backoff,
        ));
    }
    if cluster::refusal(&error).is_none() {
        return Err(Abort::Api(error));
    }
    let message = format!(
        "The API server would refuse Secret {name}, so no client is created: {}",
        cluster::message(&error)
    );
    Ok(Blocked::new(
        Reason::SecretWriteDenied,
        message,
        Requeue::Backoff,
    ))
}
