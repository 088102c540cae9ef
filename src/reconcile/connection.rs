//! Keeps one `ClusterProvidentConnection`: reads its token, probes the vendor when there is reason to, tells its status,
//! and hands clients something to call with.

use std::sync::Arc;
use std::time::Duration;

use kube::api::Patch;
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;
use tracing::{Instrument, info, info_span, warn};

use super::Error;
use super::act::params;
use super::connections::State;
use super::context::Context;
use super::create::seconds_now;
use super::key::KeyState;
use super::resolve::{bad, resolve};
use crate::api::{
    self, ClusterProvidentConnection, ConditionStatus, ConditionType, ConnectionKind,
    ConnectionRef, ConnectionStatus, Reason,
};
use crate::binding::{BindingKey, Bound};
use crate::cluster;
use crate::plan::Told;
use crate::provident::connection::{Connection, Probe};
use crate::provident::types::ClientId;

/// Probes of a connection in trouble grow from a second to this.
const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// After a refused status write: long enough for the watch to bring what made the view stale.
const STALE: Duration = Duration::from_secs(1);
/// A healthy connection is looked at again after this, if nothing about it changes.
const RESYNC: Duration = Duration::from_hours(1);

/// Looks at one connection.
///
/// # Errors
/// The API server did not do its part.
pub async fn reconcile(
    object: Arc<ClusterProvidentConnection>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    let span = info_span!("connection", name = object.name_any());
    look(&object, &ctx).instrument(span).await
}

/// The reference by which clients name a cluster connection.
#[must_use]
pub fn reference(name: &str) -> ConnectionRef {
    ConnectionRef {
        kind: ConnectionKind::ClusterProvidentConnection,
        name: name.to_owned(),
    }
}

async fn look(object: &ClusterProvidentConnection, ctx: &Arc<Context>) -> Result<Action, Error> {
    if !ctx.ready().await {
        return Ok(Action::await_change());
    }
    let name = object.name_any();
    let reference = reference(&name);
    // An operator that watches some namespaces only leaves connections of others alone: their tokens live elsewhere.
    if !ctx.settings.watch_namespaces.is_empty() && !is_used(ctx, &reference) {
        return Ok(Action::requeue(RESYNC));
    }
    let KeyState::Loaded(key) = ctx.key.borrow().clone() else {
        return Ok(Action::requeue(Duration::from_secs(5)));
    };
    let status = object.status.clone().unwrap_or_default();
    let found = resolve(object, ctx, &key, &status).await?;
    let (told, state) = match found {
        Err(told) => {
            let message = format!("Connection {name}: {}", told.2);
            (
                told,
                (
                    State::Unusable(Reason::ConnectionNotReady, message),
                    status.accepted.clone(),
                ),
            )
        }
        Ok(connection) => health(ctx, &reference, &key, connection, &status).await,
    };
    let (state, accepted) = state;
    let news = is_news(ctx, &reference, &object.spec.access, &state, told.0);
    let healthy = told.0 == ConditionStatus::True;
    let proven = match &state {
        State::Usable(connection) if connection.is_proven() => Some(connection.fingerprint.clone()),
        _ => status.proven.clone(),
    };
    ctx.connections
        .set(&reference, Some((object.spec.access.clone(), state)), news);
    ctx.metrics.connection(&name, healthy);
    if !write(object, ctx, &status, told, accepted, proven).await? {
        return Ok(Action::requeue(STALE));
    }
    if healthy || object.spec.suspend == Some(true) {
        ctx.backoff.clear(&name);
        return Ok(Action::requeue(RESYNC));
    }
    Ok(Action::requeue(
        ctx.backoff
            .failed(&name, 0, Duration::ZERO)
            .min(LONGEST_WAIT),
    ))
}

// A probe only where there is reason for one, so that a restart asks nothing.
async fn health(
    ctx: &Context,
    reference: &ConnectionRef,
    key: &BindingKey,
    connection: Arc<Connection>,
    status: &ConnectionStatus,
) -> (Told, (State, Option<String>)) {
    let good = (
        ConditionStatus::True,
        Reason::Available,
        "The vendor takes the connection's token".to_owned(),
    );
    let fingerprint = connection.fingerprint.clone();
    let accepted = status.accepted.as_deref() == Some(fingerprint.as_str());
    let was_ready = api::find(&status.conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.status == "True");
    if accepted && was_ready && !connection.needs_probe() {
        return (good, (State::Usable(connection), Some(fingerprint)));
    }
    let probe = connection.probe(bound_client(ctx, reference, key)).await;
    let name = &reference.name;
    match probe {
        Ok(Probe::Answered) => {
            if !was_ready {
                info!("the vendor takes the token");
            }
            (good, (State::Usable(connection), Some(fingerprint)))
        }
        Ok(Probe::Rejected) => {
            warn!("the vendor refuses the token");
            let message = "spec.auth.tokenSecretRef: the vendor refuses the token. Put a valid one into its Secret; it is used at once";
            let told = bad(Reason::CredentialsRejected, message);
            let message = format!(
                "The vendor refuses the token of connection {name}. Put a valid one into its Secret"
            );
            (
                told,
                (State::Unusable(Reason::ConnectionNotReady, message), None),
            )
        }
        // Not asked: the connection's own limit, or a pause that the vendor asked for.
        Err(_) => {
            let told = bad(
                Reason::VendorThrottled,
                "spec.requestsPerSecond: no turn to ask the vendor; tried again with backoff",
            );
            (told, (State::Usable(connection), status.accepted.clone()))
        }
        Ok(Probe::Away) => {
            let told = bad(
                Reason::VendorUnavailable,
                "spec.baseUrl: the vendor does not answer, or answers with errors; tried again with backoff",
            );
            (told, (State::Usable(connection), status.accepted.clone()))
        }
    }
}

// Clients look again when the connection becomes usable or ready, another one, or lets others in.
fn is_news(
    ctx: &Context,
    reference: &ConnectionRef,
    access: &[api::AccessRule],
    state: &State,
    ready: ConditionStatus,
) -> bool {
    let Some(before) = ctx.connections.get(reference) else {
        return true;
    };
    let same = match (&before.state, state) {
        (State::Usable(old), State::Usable(new)) => {
            Arc::ptr_eq(old, new) && !(new.recovered() && ready == ConditionStatus::True)
        }
        (State::Unusable(old, old_message), State::Unusable(new, message)) => {
            old == new && old_message == message
        }
        _ => false,
    };
    !same || before.access != access
}

fn is_used(ctx: &Context, reference: &ConnectionRef) -> bool {
    ctx.stores.iter().any(|stores| {
        stores
            .clients
            .find(|client| client.spec.connection_ref == *reference)
            .is_some()
    })
}

fn bound_client(ctx: &Context, reference: &ConnectionRef, key: &BindingKey) -> Option<ClientId> {
    ctx.stores.iter().find_map(|stores| {
        stores
            .clients
            .find(|client| client.spec.connection_ref == *reference && bound(client, key).is_some())
            .and_then(|client| bound(&client, key))
    })
}

pub(crate) fn bound(client: &api::OAuthClient, key: &BindingKey) -> Option<ClientId> {
    let status = client.status.as_ref()?;
    let id = ClientId::parse(status.client_id.as_deref()?)?;
    let to = Bound {
        connection: &client.spec.connection_ref,
        namespace: client.metadata.namespace.as_deref()?,
        name: client.metadata.name.as_deref()?,
    };
    key.verifies(to, &id, status.binding_mac.as_deref()?)
        .then_some(id)
}

// `false`: the view was stale. Its own change of status wakes nobody, so it must be looked at again.
async fn write(
    object: &ClusterProvidentConnection,
    ctx: &Context,
    before: &ConnectionStatus,
    (value, reason, message): Told,
    accepted: Option<String>,
    proven: Option<String>,
) -> Result<bool, Error> {
    let generation = object.metadata.generation.unwrap_or_default();
    let mut after = ConnectionStatus {
        observed_generation: Some(generation),
        accepted,
        proven,
        ..before.clone()
    };
    api::set(
        &mut after.conditions,
        ConditionType::Ready,
        value,
        reason,
        message,
        generation,
        seconds_now(),
    );
    if after == *before {
        return Ok(true);
    }
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version() },
        "status": {
            "observedGeneration": after.observed_generation,
            "accepted": after.accepted,
            "proven": after.proven,
            "conditions": after.conditions,
        },
    });
    let all: Api<ClusterProvidentConnection> = Api::all(ctx.client.clone());
    match all
        .patch_status(&object.name_any(), &params(), &Patch::Merge(&patch))
        .await
    {
        Err(error) if cluster::is_conflict(&error) => Ok(false),
        Err(error) if cluster::is_not_found(&error) => Ok(true),
        other => Ok(other.map(|_| true)?),
    }
}
