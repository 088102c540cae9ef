//! The steps that verify, update and deactivate a client at the vendor, and the report on calls that fail.

use std::sync::Arc;
use std::time::Instant;

use provident_core::api::{ConditionStatus, EventReason, Reason};
use provident_core::plan::{Blocked, Facts, Field, Observation, Requeue, names, update_request};
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::{ClientId, VendorClient};
use tracing::{info, warn};

use crate::oauth_client::held::Held;
use crate::oauth_client::observe::ownership::is_held_elsewhere;
use crate::oauth_client::observe::terminating::crd_is_terminating;
use crate::oauth_client::{Abort, SOON};
use crate::vendor::connection::VendorConnection;
use crate::vendor::limiter::Permit;

/// GETs the client.
pub(crate) async fn verify(
    facts: &Facts,
    held: &mut Held,
    id: &ClientId,
) -> Result<Observation, Abort> {
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let permit = acquire_permit(held, &connection).await?;
    Ok(match connection.client.get(permit, id).await {
        // A GET returns the secret (API document); without it nothing can be kept in a Secret.
        Ok(client) if client.client_secret.is_none() && held.client.is_none() => {
            Observation::Blocked(Blocked::new(
                Reason::VendorUnavailable,
                "The vendor's answer has no usable clientSecret. The operator retries with backoff",
                Requeue::Backoff,
            ))
        }
        Ok(client) => {
            note_success(held, &connection);
            Observation::Client(held.take_client(facts, id, client))
        }
        Err(CallError::NotFound) if connection.is_account_verified() => Observation::ClientMissing,
        Err(error) => Observation::Blocked(blocked_by_call(held, &connection, &error)),
    })
}

/// PUTs these fields, and no others.
pub(crate) async fn update(
    facts: &Facts,
    held: &mut Held,
    id: &ClientId,
    fields: &[Field],
) -> Result<Observation, Abort> {
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    held.check_generation().await?;
    let permit = acquire_permit(held, &connection).await?;
    let request = update_request(&held.object.spec, fields);
    match connection.client.update(permit, id, &request).await {
        Ok(client) => {
            drop(request);
            note_success(held, &connection);
            info!(client_id = %id, fields = names(fields), "Updated client");
            let note = format!("Updated the client at the vendor: {}", names(fields));
            held.event(EventReason::ClientUpdated, &note).await;
            // A field that the answer lacks is unknown, not different: a GET shows it.
            Ok(if shows_all(&client, fields) {
                Observation::Client(held.take_client(facts, id, client))
            } else {
                Observation::UpdatedUnseen
            })
        }
        Err(error) => Ok(Observation::Blocked(blocked_by_call(
            held,
            &connection,
            &error,
        ))),
    }
}

fn shows_all(client: &VendorClient, fields: &[Field]) -> bool {
    fields.iter().all(|field| client.fields.contains_key(field))
}

/// PUTs `isActive: false`, unless the object, its CRD or another holder of the client says otherwise by now.
pub(crate) async fn deactivate(held: &mut Held, id: &ClientId) -> Result<Observation, Abort> {
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let permit = acquire_permit(held, &connection).await?;
    held.check_generation().await?;
    if crd_is_terminating(&held.ctx).await? {
        return Ok(Observation::CrdTerminating);
    }
    if is_held_elsewhere(held, id).await? {
        return Ok(Observation::HeldElsewhere);
    }
    Ok(match connection.client.deactivate(permit, id).await {
        Ok(client) if client.is_active() == Some(false) => {
            note_success(held, &connection);
            info!(client_id = %id, "Deactivated client");
            let note = format!("Deactivated client {id} at the vendor");
            held.event(EventReason::ClientDeactivated, &note).await;
            Observation::Deactivated
        }
        Ok(_) => Observation::Blocked(Blocked::new(
            Reason::VendorUnavailable,
            "The vendor accepted isActive: false but did not apply it",
            Requeue::Backoff,
        )),
        Err(CallError::NotFound) if connection.is_account_verified() => Observation::ClientMissing,
        // Nothing in the spec can be edited to make a deactivation acceptable.
        Err(error @ CallError::Rejected { .. }) => Observation::Blocked(Blocked::new(
            Reason::VendorUnavailable,
            format!("Failed to deactivate the client: {error}. The operator retries with backoff"),
            Requeue::Backoff,
        )),
        Err(error) => Observation::Blocked(blocked_by_call(held, &connection, &error)),
    })
}

/// The connection that the plan found usable.
pub(crate) fn connection(held: &Held) -> Result<Arc<VendorConnection>, Blocked> {
    held.connection.clone().ok_or_else(|| {
        Blocked::new(
            Reason::ConnectionNotReady,
            "The connection is not ready",
            Requeue::Backoff,
        )
    })
}

/// A permit of the connection's limiter. Without one the object comes back, and nothing is reported.
pub(crate) async fn acquire_permit(
    held: &Held,
    connection: &VendorConnection,
) -> Result<Permit, Abort> {
    let started = Instant::now();
    let permit = connection.limiter.permit(&held.namespace()).await;
    match &permit {
        Ok(_) => held.ctx.metrics.vendor.turn(started.elapsed()),
        Err(_) => held.ctx.metrics.vendor.put_off(),
    }
    permit.map_err(|retry_after| Abort::Requeue(retry_after.0.max(SOON)))
}

/// Notes that the vendor returned a bound client, which verifies the account. Both are reported on the connection.
pub(crate) fn note_success(held: &Held, connection: &VendorConnection) {
    let refreshed = connection.client.take_token_refreshed();
    if connection.mark_account_verified() || refreshed {
        held.trigger_connection();
    }
}

/// The report on a call that failed.
pub(crate) fn blocked_by_call(
    held: &Held,
    connection: &VendorConnection,
    error: &CallError,
) -> Blocked {
    warn!(%error, "Vendor request failed");
    let key = held.connection_key();
    match error {
        CallError::Token(error) => Blocked::new(
            Reason::ConnectionNotReady,
            format!(
                "Connection {key} has no access token: {error}; see {}",
                key.command()
            ),
            Requeue::Backoff,
        ),
        CallError::NotFound => Blocked {
            ready: ConditionStatus::Unknown,
            reason: Reason::ConnectionNotReady,
            message: format!(
                "The vendor answered 404, and the account of connection {key} is not verified yet: the credential may belong to \
                 another account. The account is verified when any client of the connection is found"
            ),
            requeue: Requeue::Backoff,
        },
        CallError::Throttled(retry_after) => {
            let pause = connection.limiter.retry_delay(*retry_after);
            Blocked::new(
                Reason::VendorThrottled,
                "The vendor limits the request rate (429). The operator retries automatically",
                Requeue::After(pause),
            )
        }
        CallError::Rejected { code, .. } => {
            let which = match code {
                Some(_) => "Edit the spec accordingly",
                None => {
                    "The vendor does not say which field it rejects; check all fields of the client"
                }
            };
            let message = format!("{}. {which}", capitalized(&error.to_string()));
            Blocked::new(Reason::SpecRejected, message, Requeue::Verification)
        }
        // The connection may be at fault, or this client alone: its controller probes the connection now and reports on it.
        CallError::Unauthorized
        | CallError::Forbidden
        | CallError::Status(_)
        | CallError::Unreachable(_)
        | CallError::MalformedResponse(_) => Blocked::new(
            Reason::VendorUnavailable,
            format!(
                "A request for this client failed: {error}. The operator retries with backoff. To see whether other clients are \
                 affected, run: {}",
                key.command()
            ),
            Requeue::Backoff,
        ),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
