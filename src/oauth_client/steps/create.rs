//! The create protocol: claim it, send it once, and know what happened.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::ObjectRef;
use provident_core::api::{EventReason, Reason};
use provident_core::plan::{
    AttemptId, AttemptState, AutoRetry, Blocked, Facts, Observation, Requeue, create_request,
};
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::{Outcome, Refusal, Reply, classify};
use serde_json::json;
use tracing::{info, warn};

use super::vendor::{blocked_by_call, connection};
use crate::clock;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;
use crate::oauth_client::observe::connection::auto_retry;
use crate::state::create_attempts::Target;
use crate::vendor::client::CreateReply;
use crate::vendor::connection::{VendorConnection, random_hex};

/// Writes the claim into status. A stale view is refused here; this, and no lease, makes a create happen once.
pub(crate) async fn claim(
    facts: &Facts,
    held: &mut Held,
    retry_of: Option<&AttemptId>,
) -> Result<Observation, Abort> {
    let Ok(id) = random_hex() else {
        return Ok(Observation::Blocked(Blocked::new(
            Reason::Pending,
            "The system's random number generator failed",
            Requeue::Backoff,
        )));
    };
    let (id, start_time) = (AttemptId(id), clock::now());
    let target = Target {
        uid: held.uid(),
        secret: held.object.secret_name().to_owned(),
        connection: held.object.spec.connection_ref.clone(),
    };
    let object = ObjectRef::from_obj(&held.object);
    // Before the write: if its answer is lost, this process still knows that it sent nothing.
    let attempts = &held.ctx.state.attempts;
    attempts.claim(&id, object, target, start_time, retry_of.cloned());
    let claim = json!({ "createAttempt": {
        "id": id.0,
        "startTime": Time(start_time),
        "retryOf": retry_of.map(|id| &id.0),
        // A merge patch keeps what the retried attempt had otherwise.
        "outcome": null,
    }});
    let written = held.patch_status(claim).await;
    if matches!(written, Err(Abort::StaleView | Abort::ObjectGone)) {
        held.ctx.state.attempts.forget(&id);
    }
    written?;
    if let Some(former) = retry_of.filter(|_| facts.auto_retry == AutoRetry::Due) {
        held.ctx.metrics.outcomes.possible_orphan();
        let note = format!(
            "The outcome of create {former} is unknown. Retrying it once, because the connection's unknownOutcomePolicy is Retry. \
             A client named {:?} may exist twice at the vendor",
            held.object.vendor_name()
        );
        held.event(EventReason::CreateRetried, &note).await;
    }
    Ok(Observation::Claimed(id))
}

/// Sends the create, once, and classifies the answer.
pub(crate) async fn create(facts: &Facts, held: &mut Held) -> Result<Observation, Abort> {
    let connection = match connection(held) {
        Ok(connection) => connection,
        Err(blocked) => return Ok(Observation::Blocked(blocked)),
    };
    let (Some(id), Some(permit)) = (
        facts.attempt.as_ref().map(|attempt| attempt.id.clone()),
        held.permit.take(),
    ) else {
        // A claim of an earlier reconcile, without a preflight of this one: dropped, and started over.
        return Ok(Observation::NotSent);
    };
    let (uid, wait) = (held.uid(), held.ctx.config.attempt_wait);
    let state = held.ctx.state.attempts.state(&id, &uid, wait);
    if state != (AttemptState::Unsent { in_time: true }) || connection.is_breaker_open() {
        return Ok(Observation::NotSent);
    }
    let reply = {
        let request = create_request(&held.object);
        info!(attempt = %id, client_name = held.object.vendor_name(), "Creating client");
        held.ctx.state.attempts.sending(&id);
        connection.client.create(permit, &request).await
    };
    let ctx = &held.ctx;
    let outcome = classify(&reply.reply, |client| {
        ctx.state.client_index.is_recorded_elsewhere(client, &uid)
    });
    ctx.metrics.outcomes.created(&outcome);
    Ok(match outcome {
        Outcome::Created(client_id) => {
            // The log first: whatever happens to this process, the clientId is on record.
            info!(attempt = %id, %client_id, "Vendor created client");
            ctx.state.attempts.created(&id, client_id.clone());
            let client = reply.client.unwrap_or_default();
            let answer = held.take_client(facts, &client_id, client);
            Observation::Created(client_id, answer)
        }
        Outcome::Unknown(ambiguity) => {
            warn!(attempt = %id, ?ambiguity, reply = reply.label(), "Create outcome unknown; waiting for manual resolution");
            ctx.state.attempts.unknown(&id, ambiguity);
            connection.open_breaker();
            let mut attempt = facts.attempt.clone();
            if let Some(attempt) = &mut attempt {
                attempt.state = AttemptState::Unknown(ambiguity);
            }
            let entry = ctx.state.connections.get(&held.connection_key());
            let auto_retry = entry.map_or(AutoRetry::No, |entry| {
                auto_retry(held, &entry, attempt.as_ref())
            });
            Observation::CreateUnknown {
                ambiguity,
                auto_retry,
            }
        }
        Outcome::NotCreated(refusal) => {
            ctx.state.attempts.not_created(&id, refusal);
            let blocked = blocked_by_refusal(held, "create", refusal, &reply, &connection);
            Observation::NotCreated(refusal, blocked)
        }
    })
}

/// The report on a request that is known not to have been carried out.
pub(crate) fn blocked_by_refusal(
    held: &Held,
    request: &str,
    refusal: Refusal,
    reply: &CreateReply,
    connection: &VendorConnection,
) -> Blocked {
    let status = match reply.reply {
        Reply::Answer { status, .. } => status,
        Reply::NeverConnected | Reply::NoAnswer => 0,
    };
    let error = match refusal {
        Refusal::Unreachable => CallError::Unreachable(
            reply
                .transport_error
                .clone()
                .unwrap_or_else(|| "no connection could be made".to_owned()),
        ),
        Refusal::Invalid => CallError::Rejected {
            status,
            code: reply.code.clone(),
        },
        Refusal::Unauthorized if status == 401 => CallError::Unauthorized,
        Refusal::Unauthorized => CallError::Forbidden,
        Refusal::Throttled => CallError::Throttled(reply.retry_after),
        Refusal::Other => {
            let name = &held.object.spec.connection_ref.name;
            let message = format!(
                "The vendor answered a {request} with status {status}. Check spec.baseUrl of connection {name}"
            );
            return Blocked::new(Reason::ConnectionNotReady, message, Requeue::Backoff);
        }
    };
    blocked_by_call(held, connection, &error)
}
