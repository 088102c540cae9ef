//! Clients that the vendor created and that status does not record yet: where they belong, and the end of a process that
//! still holds some.
//!
//! Such a client is *orphaned* when its object is gone, or has another client or attempt by now. Nothing is overwritten then:
//! the client is deactivated, unless a living object or Secret has it.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use provident_core::api::OAuthClient;
use provident_core::binding::Bound;
use provident_core::plan::{AttemptId, Binding, Disposition, ObjectState, Owner, disposition};
use provident_core::secret::SecretMetadata;
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::ClientId;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::Abort;
use super::observe::connection::connection_for_orphan;
use crate::cluster;
use crate::context::Context;
use crate::state::binding_key::KeyState;
use crate::state::connection_key::ConnectionKey;
use crate::state::create_attempts::UnstoredClient;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Resolves the clients created under this name that have no place any more. Also for a name that has no object now.
///
/// # Errors
/// A request to the API server failed; try again.
pub async fn resolve_unstored(
    ctx: &Arc<Context>,
    object: &ObjectRef<OAuthClient>,
) -> Result<(), kube::Error> {
    for client in ctx.state.attempts.unstored_for(object) {
        match current_disposition(ctx, &client).await? {
            Disposition::Store => {}
            Disposition::AlreadyStored => ctx.state.attempts.forget(&client.attempt),
            Disposition::HeldElsewhere => {
                info!(client_id = %client.client_id, "Client was created for an object that is gone, and another object has it");
                ctx.state.attempts.forget(&client.attempt);
            }
            Disposition::Orphaned => {
                warn!(client_id = %client.client_id, attempt = %client.attempt, "Client was created after its object was deleted; deactivating it");
                ctx.metrics.outcomes.late();
                // From here on the task holds it; a process that exits waits for its tasks.
                ctx.state.attempts.forget(&client.attempt);
                let ctx = Arc::clone(ctx);
                ctx.tasks
                    .clone()
                    .spawn(async move { deactivate(&ctx, &client).await });
            }
        }
    }
    Ok(())
}

async fn current_disposition(
    ctx: &Context,
    client: &UnstoredClient,
) -> Result<Disposition, kube::Error> {
    let namespace = client.object.namespace.clone().unwrap_or_default();
    let object = match ctx.objects(&namespace).get(&client.object.name).await {
        Ok(object) if object.uid().as_deref() == Some(&client.target.uid) => Some(object),
        Ok(_) => None,
        Err(error) if cluster::is_not_found(&error) => None,
        Err(error) => return Err(error),
    };
    let (bound, held_by_secret) = secret_of(ctx, client, object.as_ref()).await?;
    let state = match &object {
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
    let index = &ctx.state.client_index;
    let held = held_by_secret || index.is_held_by_living_object(&client.client_id);
    Ok(disposition(
        &client.attempt,
        &client.client_id,
        &state,
        held,
    ))
}

// The client that the Secret is validly bound to, if its owner is the object or it has none; and whether the Secret holds this
// very client for a living owner.
async fn secret_of(
    ctx: &Context,
    client: &UnstoredClient,
    object: Option<&OAuthClient>,
) -> Result<(Option<ClientId>, bool), kube::Error> {
    let KeyState::Loaded(key) = ctx.key.borrow().clone() else {
        return Ok((None, false));
    };
    let namespace = client.object.namespace.clone().unwrap_or_default();
    let name = object.map_or(client.target.secret.as_str(), OAuthClient::secret_name);
    let Some(found) = ctx.secrets(&namespace).get_opt(name).await? else {
        return Ok((None, false));
    };
    let to = Bound {
        connection: &client.target.connection,
        namespace: &namespace,
        // A client that is held under a former uid counts as held too.
        namespace_uid: None,
        name: &client.object.name,
    };
    let metadata = SecretMetadata::of(&found.metadata);
    let Binding::Valid(bound) = metadata.binding(&key, to) else {
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
    let held = bound == client.client_id && lives;
    let ours = object.is_some_and(|object| match metadata.owner(object) {
        Owner::This | Owner::None => true,
        Owner::Former | Owner::Other => false,
    });
    Ok((ours.then_some(bound), held))
}

async fn deactivate(ctx: &Context, client: &UnstoredClient) {
    let mut delay = FIRST_RETRY;
    while let Err(error) = try_deactivate(ctx, client).await {
        warn!(client_id = %client.client_id, error, ?delay, "Failed to deactivate orphaned client, will retry");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_RETRY);
    }
}

async fn try_deactivate(ctx: &Context, client: &UnstoredClient) -> Result<(), String> {
    // Checked again each time: a restore may have brought back an object that records it.
    let disposition = current_disposition(ctx, client)
        .await
        .map_err(|error| cluster::describe(&error))?;
    if disposition != Disposition::Orphaned {
        info!(client_id = %client.client_id, ?disposition, "Client is no longer orphaned; leaving it active");
        return Ok(());
    }
    let namespace = client.object.namespace.clone().unwrap_or_default();
    let key = ConnectionKey::new(&client.target.connection, &namespace);
    let Some(connection) = connection_for_orphan(ctx, &key) else {
        return Err("its connection is not usable".to_owned());
    };
    let permit = connection
        .limiter
        .permit(&namespace)
        .await
        .map_err(|_| "the connection's rate limit is reached".to_owned())?;
    match connection
        .client
        .deactivate(permit, &client.client_id)
        .await
    {
        Ok(answer) if answer.is_active() == Some(false) => {
            info!(client_id = %client.client_id, "Deactivated orphaned client");
            Ok(())
        }
        Ok(_) => Err("the vendor did not apply isActive: false".to_owned()),
        // The vendor created the client a moment ago, so the account is the right one.
        Err(CallError::NotFound) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Stores what is not stored yet before the process exits. Returns when everything is stored, or when `give_up` is cancelled;
/// what is left is then in the log. `give_up_orphans` bounds the deactivation of orphaned clients alone, once everything is
/// stored.
pub async fn drain(ctx: &Arc<Context>, give_up: &CancellationToken, orphan_wait: Duration) {
    let mut delay = Duration::from_millis(100);
    loop {
        let unstored = ctx.state.attempts.unstored();
        if unstored.is_empty() {
            break;
        }
        for client in unstored {
            if let Err(error) = store(ctx, &client).await {
                let error = cluster::describe(&error);
                warn!(client_id = %client.client_id, error, "Failed to store new client, will retry");
            }
        }
        let pause = tokio::time::sleep(delay);
        if give_up.run_until_cancelled(pause).await.is_none() {
            break;
        }
        delay = (delay * 2).min(Duration::from_secs(2));
    }
    ctx.tasks.close();
    // An unreachable vendor must not keep the process: it neither works nor lets itself be restarted then.
    let deactivated = tokio::time::timeout(orphan_wait, ctx.tasks.wait());
    if !matches!(give_up.run_until_cancelled(deactivated).await, Some(Ok(()))) {
        error!("Exiting while orphaned clients are still active; their clientIds are logged above");
    }
    for client in ctx.state.attempts.unstored() {
        error!(
            client_id = %client.client_id, attempt = %client.attempt, object = %client.object,
            "Exiting with a client that could not be stored"
        );
    }
}

async fn store(ctx: &Arc<Context>, client: &UnstoredClient) -> Result<(), kube::Error> {
    resolve_unstored(ctx, &client.object).await?;
    let namespace = client.object.namespace.clone().unwrap_or_default();
    let object = ctx.objects(&namespace).get_opt(&client.object.name).await?;
    let Some(object) = object else {
        return Ok(());
    };
    match super::run(Arc::new(object), ctx).await {
        Err(Abort::Api(error)) => Err(error),
        _ => Ok(()),
    }
}
