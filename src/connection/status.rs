//! The status of a connection, and the event of its transitions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Patch;
use serde_json::json;
use tracing::info;

use crate::clock;
use crate::cluster;
use crate::cluster::events::{EventType, publish};
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::{Error, difference, patch_params};
use crate::state::connection_registry::Availability;
use provident_core::api::{
    self, ConditionStatus, ConditionType, ConnectionStatus, Reason, stored_time,
};
use provident_core::plan::ConditionUpdate;

/// The status that follows from what was found. Equal findings give an equal status, so that it is not written again.
pub(super) fn after<K: AnyConnection>(
    object: &K,
    before: &ConnectionStatus,
    availability: &Availability,
    health: &ConditionUpdate,
    shown: &ConditionUpdate,
    manager: &str,
) -> ConnectionStatus {
    let (value, reason, _) = health;
    let generation = object.meta().generation.unwrap_or_default();
    let now = clock::now();
    let mut after = ConnectionStatus {
        observed_generation: Some(generation),
        managed_by: Some(manager.to_owned()),
        failing_since: match reason {
            Reason::VendorUnavailable
            | Reason::VendorThrottled
            | Reason::CredentialsRejected
            | Reason::UnexpectedResponse => before
                .failing_since
                .clone()
                .or_else(|| Some(stored_time(now))),
            _ => None,
        },
        ..before.clone()
    };
    if *reason == Reason::CredentialsRejected {
        after.accepted_credential_hash = None;
        after.token_expiration_time = None;
    }
    if let Availability::Usable(connection) = availability {
        if *value == ConditionStatus::True {
            after.accepted_credential_hash = Some(connection.fingerprint.clone());
        }
        if connection.is_account_verified() {
            after.verified_account_hash = Some(connection.fingerprint.clone());
        }
        // After a restart no token is cached, and none is requested for this.
        if let Some(expires) = connection.client.token_expires() {
            after.token_expiration_time = Some(stored_time(expires));
        }
    }
    if object.account().auth.token_secret_ref.is_some() {
        after.token_expiration_time = None;
    }
    api::set(
        &mut after.conditions,
        ConditionType::Ready,
        shown.0,
        shown.1,
        shown.2.clone(),
        generation,
        now,
    );
    after
}

/// Writes the status if it differs, and publishes a transition as an event. `false`: the view was stale. A change of status
/// triggers no reconcile, so the caller must requeue.
pub(super) async fn write<K: AnyConnection>(
    object: &K,
    ctx: &Context,
    before: &ConnectionStatus,
    after: &ConnectionStatus,
    condition: ConditionUpdate,
) -> Result<bool, Error> {
    if after == before {
        return Ok(true);
    }
    let meta = object.meta();
    let patch = json!({
        "metadata": { "resourceVersion": meta.resource_version },
        "status": difference(before, after),
    });
    let api = K::api(ctx.client.clone(), meta.namespace.as_deref());
    let name = meta.name.clone().unwrap_or_default();
    match api
        .patch_status(&name, &patch_params(), &Patch::Merge(&patch))
        .await
    {
        Ok(_) => {}
        Err(error) if cluster::is_conflict(&error) => return Ok(false),
        Err(error) if cluster::is_not_found(&error) => return Ok(true),
        Err(error) => return Err(error.into()),
    }
    let [old, new] =
        [before, after].map(|status| api::find(&status.conditions, ConditionType::Ready));
    let of = |ready: Option<&Condition>| ready.map(|r| (r.status.clone(), r.reason.clone()));
    // One event per transition of the connection: its clients refer to it.
    if of(old) != of(new) {
        let (value, reason, note) = condition;
        info!(%reason, note, "Connection condition changed");
        let type_ = if value == ConditionStatus::True {
            EventType::Normal
        } else {
            EventType::Warning
        };
        let about = object.object_ref(&());
        publish(
            &ctx.client,
            &ctx.reporter,
            &about,
            type_,
            reason.as_str(),
            &note,
        )
        .await;
    }
    Ok(true)
}
