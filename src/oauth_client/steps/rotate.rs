//! Rotation: record it, send it once, let GET decide.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use provident_core::api::{EventReason, Reason, RotationRecord};
use provident_core::plan::{self, Blocked, Facts, Observation, Requeue, RotationState, Token};
use provident_core::vendor::outcome::{Outcome, Refusal, Reply, classify};
use provident_core::vendor::types::ClientId;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::create::blocked_by_refusal;
use super::vendor::connection;
use crate::clock;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;

/// Writes the record into status. A stale view is refused here.
pub(crate) async fn record(
    facts: &Facts,
    held: &mut Held,
    token: &Token,
) -> Result<Observation, Abort> {
    let hash = plan::client(facts).and_then(|id| held.client_secret_hash(&id));
    let record = RotationRecord {
        token: token.text.clone(),
        previous_secret_hash: hash.ok_or(Abort::StaleView)?,
        start_time: Time(clock::now()),
        scheduled: token.scheduled,
        accepted: false,
        not_applied: false,
    };
    let uid = held.uid();
    let status = held.object.status.as_ref();
    // A token that the vendor accepted is not requested again, although another one takes its place.
    let replaced = status
        .and_then(|status| status.rotation.as_ref())
        .filter(|open| open.accepted && !open.scheduled)
        .map(|open| open.token.clone());
    let handled = replaced.or(status.and_then(|status| status.last_handled_rotate.clone()));
    // If the answer to the write is lost, it is unknown whose record it is, so it must not count as ours.
    held.ctx.state.rotations.forget(&uid);
    held.patch_status(json!({
        "lastHandledRotate": handled,
        "rotation": {
            "token": record.token,
            "previousSecretHash": record.previous_secret_hash,
            "startTime": record.start_time,
            // In a merge patch null removes what a former record may have had.
            "scheduled": token.scheduled.then_some(true),
            "accepted": Value::Null,
            "notApplied": Value::Null,
        },
    }))
    .await?;
    held.ctx.state.rotations.recorded(&uid, &record);
    Ok(Observation::RotationRecorded)
}

/// Sends the rotation, once. Its answer's body is not read: GET returns the secret (API document).
pub(crate) async fn rotate(held: &mut Held, id: &ClientId) -> Result<Observation, Abort> {
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let (uid, wait) = (held.uid(), held.ctx.config.rotation_wait());
    let status = held.object.status.as_ref();
    let record = status.and_then(|status| status.rotation.as_ref());
    let state = record.map(|record| held.ctx.state.rotations.observe(&uid, record, wait));
    let (Some(RotationState::Unsent { in_time: true }), Some(permit)) = (state, held.permit.take())
    else {
        return Ok(Observation::NotSent);
    };
    info!(client_id = %id, "Rotating client secret");
    let rotations = &held.ctx.state.rotations;
    let outcomes = &held.ctx.metrics.outcomes;
    rotations.sending(&uid);
    // The client's secret may be another one by now, whatever becomes of this reconcile.
    held.ctx.state.verifications.force(&uid);
    let reply = connection.client.rotate(permit, id).await;
    if matches!(
        reply.reply,
        Reply::Answer {
            status: 200..=299,
            ..
        }
    ) {
        rotations.accepted(&uid);
        outcomes.rotation("accepted");
        return Ok(Observation::RotationAccepted);
    }
    let refusal = match classify(&reply.reply, |_| false) {
        Outcome::NotCreated(refusal) => refusal,
        Outcome::Created(_) | Outcome::Unknown(_) => {
            warn!(client_id = %id, reply = reply.label(), "Rotation outcome unknown, will check with GET");
            outcomes.rotation("unknown");
            return Ok(Observation::RotationUnanswered);
        }
    };
    rotations.refused(&uid);
    outcomes.rotation("refused");
    let blocked = match refusal {
        // A rotation carries no fields, so there is nothing in the spec to edit.
        Refusal::Invalid => Blocked::new(
            Reason::VendorUnavailable,
            format!(
                "The vendor refused to rotate the secret ({}). The previous secret stays in use, and the operator retries with backoff",
                reply.label()
            ),
            Requeue::Backoff,
        ),
        _ => blocked_by_refusal(held, "rotation", refusal, &reply, &connection),
    };
    held.event(EventReason::RotationRefused, &blocked.message)
        .await;
    Ok(Observation::RotationRefused(blocked))
}
