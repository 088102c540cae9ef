//! Answers that come too late for their object, and the end of a process that still holds some.
//!
//! An answer is *late* when its object is gone, or has another client or another attempt by now. Nothing is overwritten
//! then: its client is deactivated, unless somebody living records it.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::cluster;
use crate::context::Context;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::connection::for_a_late_answer;
use crate::state::binding_key::KeyState;
use crate::state::connection_registry::Key;
use crate::state::create_attempts::Answer;
use provident_core::api::OAuthClient;
use provident_core::binding::Bound;
use provident_core::plan::{AttemptId, Binding, Disposition, ObjectState, Owner, disposition};
use provident_core::secret::SecretMetadata;
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::ClientId;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Sees to the answers held for this name that have no place any more; also where the watch has no such object now.
///
/// # Errors
/// The API server could not be asked; to be tried again.
pub async fn settle(
    ctx: &Arc<Context>,
    object: &ObjectRef<OAuthClient>,
) -> Result<(), kube::Error> {
    for answer in ctx.memory.answers_for(object) {
        match judge(ctx, &answer).await? {
            Disposition::Store => {}
            Disposition::AlreadyStored => ctx.memory.forget(&answer.attempt),
            Disposition::HeldElsewhere => {
                info!(client_id = %answer.client_id, "an answer came late, and its client is recorded elsewhere");
                ctx.memory.forget(&answer.attempt);
            }
            Disposition::Orphaned => {
                warn!(client_id = %answer.client_id, attempt = %answer.attempt, "an answer came late: its client is deactivated");
                ctx.metrics.outcomes.late();
                // From here on the task holds it; a process that leaves waits for its tasks.
                ctx.memory.forget(&answer.attempt);
                let ctx = Arc::clone(ctx);
                ctx.tasks
                    .clone()
                    .spawn(async move { deactivate(&ctx, &answer).await });
            }
        }
    }
    Ok(())
}

async fn judge(ctx: &Context, answer: &Answer) -> Result<Disposition, kube::Error> {
    let namespace = answer.object.namespace.clone().unwrap_or_default();
    let object = match ctx.objects(&namespace).get(&answer.object.name).await {
        Ok(object) if object.uid().as_deref() == Some(&answer.target.uid) => Some(object),
        Ok(_) => None,
        Err(error) if cluster::is_not_found(&error) => None,
        Err(error) => return Err(error),
    };
    let (bound, kept) = secret_of(ctx, answer, object.as_ref()).await?;
    let standing = match &object {
        None => ObjectState::Gone,
        Some(object) => {
            let status = object.status.clone().unwrap_or_default();
            ObjectState::There {
                client: status.client_id.as_deref().and_then(ClientId::parse),
                attempt: status.create_attempt.map(|attempt| AttemptId(attempt.id)),
                secret: bound,
            }
        }
    };
    let kept = kept || ctx.recorded.by_a_living_object(&answer.client_id);
    Ok(disposition(
        &answer.attempt,
        &answer.client_id,
        &standing,
        kept,
    ))
}

// The client the Secret is validly bound to, if its owner is the object; and whether the Secret keeps this very client:
// bound to it, and without a controller owner or with one that lives.
async fn secret_of(
    ctx: &Context,
    answer: &Answer,
    object: Option<&OAuthClient>,
) -> Result<(Option<ClientId>, bool), kube::Error> {
    let KeyState::Loaded(key) = ctx.key.borrow().clone() else {
        return Ok((None, false));
    };
    let namespace = answer.object.namespace.clone().unwrap_or_default();
    let name = object.map_or(answer.target.secret.as_str(), OAuthClient::secret_name);
    let Some(found) = ctx.secrets(&namespace).get_opt(name).await? else {
        return Ok((None, false));
    };
    let to = Bound {
        connection: &answer.target.connection,
        namespace: &namespace,
        name: &answer.object.name,
    };
    let marks = SecretMetadata::of(&found.metadata);
    let Binding::Valid(client) = marks.binding(&key, to) else {
        return Ok((None, false));
    };
    let owner = found
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    let lives = match owner {
        None => true,
        Some(owner) => match ctx.objects(&namespace).get_opt(&owner.name).await? {
            Some(live) => {
                live.uid().as_deref() == Some(&owner.uid)
                    && live.metadata.deletion_timestamp.is_none()
            }
            None => false,
        },
    };
    let kept = client == answer.client_id && lives;
    let ours = object.is_some_and(|object| marks.owner(object) == Owner::This);
    Ok((ours.then_some(client), kept))
}

async fn deactivate(ctx: &Context, answer: &Answer) {
    let mut delay = FIRST_RETRY;
    while let Err(why) = try_deactivate(ctx, answer).await {
        warn!(client_id = %answer.client_id, why, "the client of a late answer is still active");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_RETRY);
    }
}

async fn try_deactivate(ctx: &Context, answer: &Answer) -> Result<(), String> {
    // Asked anew each time: a restore may have brought back who records it.
    let disposition = judge(ctx, answer)
        .await
        .map_err(|error| cluster::describe(&error))?;
    if disposition != Disposition::Orphaned {
        info!(client_id = %answer.client_id, ?disposition, "the client of a late answer stays as it is");
        return Ok(());
    }
    let namespace = answer.object.namespace.clone().unwrap_or_default();
    let key = Key::new(&answer.target.connection, &namespace);
    let Some(connection) = for_a_late_answer(ctx, &key) else {
        return Err("its connection is not usable".to_owned());
    };
    let permit = connection
        .limiter
        .permit(&namespace)
        .await
        .map_err(|_| "the connection's limit".to_owned())?;
    match connection
        .client
        .deactivate(permit, &answer.client_id)
        .await
    {
        Ok(client) if client.is_active == Some(false) => {
            info!(client_id = %answer.client_id, "deactivated the client of a late answer");
            Ok(())
        }
        Ok(_) => Err("the vendor did not apply isActive: false".to_owned()),
        // It made the client a moment ago: the connection is the right one.
        Err(CallError::NotFound) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Stores what is not stored yet, before the process leaves. Returns when all is stored or it is to `give_up`; what is left
/// then stands in the log.
pub async fn drain(ctx: &Arc<Context>, give_up: &CancellationToken) {
    let mut delay = Duration::from_millis(100);
    loop {
        let answers = ctx.memory.answers();
        if answers.is_empty() {
            break;
        }
        for answer in answers {
            if let Err(error) = store(ctx, &answer).await {
                let error = cluster::describe(&error);
                warn!(client_id = %answer.client_id, error, "Failed to store the vendor's response, will retry");
            }
        }
        let pause = tokio::time::sleep(delay);
        if give_up.run_until_cancelled(pause).await.is_none() {
            break;
        }
        delay = (delay * 2).min(Duration::from_secs(2));
    }
    ctx.tasks.close();
    let ended = give_up.run_until_cancelled(ctx.tasks.wait()).await;
    if ended.is_none() {
        error!("leaving with clients of late answers still active; their clientIds are above");
    }
    for answer in ctx.memory.answers() {
        error!(
            client_id = %answer.client_id, attempt = %answer.attempt, object = %answer.object,
            "leaving with an answer that could not be stored"
        );
    }
}

async fn store(ctx: &Arc<Context>, answer: &Answer) -> Result<(), kube::Error> {
    settle(ctx, &answer.object).await?;
    let namespace = answer.object.namespace.clone().unwrap_or_default();
    let Some(object) = ctx.objects(&namespace).get_opt(&answer.object.name).await? else {
        return Ok(());
    };
    match super::pass(Arc::new(object), ctx).await {
        Err(Abort::Api(error)) => Err(error),
        _ => Ok(()),
    }
}
