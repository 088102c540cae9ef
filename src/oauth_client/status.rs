//! Writes status, once per reconcile and only if it differs, and publishes transitions as events.

mod events;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use provident_core::api::{
    self, AttemptOutcome, ConditionStatus, ConditionType, CreateAttempt, FieldsNotApplied,
    OAuthClientStatus, RECONCILE, ROTATE, Reason,
};
use provident_core::plan::{
    self, AttemptId, AttemptState, Facts, MessageContext, Report, Requeue, RotationState, Vendor,
};
use provident_core::vendor::outcome::Ambiguity;
use tracing::debug;

use super::Abort;
use super::held::Held;
use super::requeue::{next_rotation_of, refresh_interval, until_verification};
use crate::clock;
use crate::reconcile::difference;

/// Ends a reconcile: writes what it found, and returns when to reconcile again.
pub(crate) async fn write(held: &mut Held, facts: &Facts) -> Result<Requeue, Abort> {
    let before = held.object.status.clone().unwrap_or_default();
    let report = report(held, facts, &before);
    let after = status(held, facts, &before, &report);
    if before == after {
        debug!("Status is up to date");
    } else {
        // Only what differs: fields that a newer version of the operator wrote stay.
        held.patch_status(difference(&before, &after)).await?;
        events::announce(held, facts, &before, &after).await;
    }
    let (ctx, uid) = (&held.ctx, held.uid());
    let open = held
        .object
        .status
        .as_ref()
        .and_then(|status| status.create_attempt.as_ref())
        .map(|attempt| &attempt.id);
    let former = facts.attempt.as_ref().map(|attempt| &attempt.id);
    if let Some(former) = former.filter(|former| Some(&former.0) != open) {
        ctx.state.attempts.forget(former);
    }
    // Only now: if a reconcile comes to nothing, what the vendor answered is forgotten too.
    let verified = plan::was_verified(facts);
    if verified {
        let interval = refresh_interval(&held.object);
        ctx.state.verifications.verified(&uid, interval);
    }
    ctx.state.client_index.set(&held.object);
    let next = until_verification(&held.object);
    ctx.metrics.clients.reported(&held.object, verified, next);
    Ok(report.requeue)
}

fn report(held: &Held, facts: &Facts, before: &OAuthClientStatus) -> Report {
    let attempt_time = before
        .create_attempt
        .as_ref()
        .map(|attempt| attempt.start_time.0.to_string())
        .unwrap_or_default();
    let (namespace, name) = (held.namespace(), held.object.name_any());
    let vendor_name = held.object.vendor_name();
    let context = MessageContext {
        namespace: &namespace,
        name: &name,
        secret: held.object.secret_name(),
        vendor_name: &vendor_name,
        attempt_time: &attempt_time,
    };
    plan::report(&held.object.spec, facts, context)
}

fn status(
    held: &Held,
    facts: &Facts,
    before: &OAuthClientStatus,
    report: &Report,
) -> OAuthClientStatus {
    let generation = held.object.metadata.generation.unwrap_or_default();
    let mut status = before.clone();
    let recorded = plan::recorded_state(facts);
    if let Some(client) = &recorded.client
        && let Some(mac) = held.mac(client)
    {
        status.client_id = Some(client.to_string());
        status.binding_mac = Some(mac);
    }
    status.create_attempt = create_attempt(held, facts, before, recorded.attempt);
    set_conditions(&mut status, report, generation);
    let stored = report
        .secret_ready
        .as_ref()
        .is_some_and(|update| update.0 == ConditionStatus::True);
    if stored {
        status.secret_name = Some(held.object.secret_name().to_owned());
        // A Secret that is known by its version has the recorded one.
        if let Some(secret) = &held.secret {
            status.secret_resource_version = secret.resource_version();
        }
        count_content(held, facts, &mut status);
        close_rotation(facts, &mut status);
    }
    set_not_applied(facts, report, generation, &mut status);
    set_rejected(facts, generation, &mut status);
    // Whatever the vendor answered: it was asked.
    if stored || plan::was_verified(facts) {
        status.last_handled_reconcile = held.object.annotations().get(RECONCILE).cloned();
    }
    if is_first_look(before) {
        status.last_handled_rotate = held.object.annotations().get(ROTATE).cloned();
    }
    if status.client_id.is_some() {
        let next = next_rotation_of(&held.object, status.last_rotation_time.as_ref());
        status.next_rotation_time = next.and_then(Result::ok).map(Time);
    }
    status
}

fn create_attempt(
    held: &Held,
    facts: &Facts,
    before: &OAuthClientStatus,
    open: Option<AttemptId>,
) -> Option<Box<CreateAttempt>> {
    let id = open?;
    let mut attempt = match &before.create_attempt {
        Some(recorded) if recorded.id == id.0 => recorded.clone(),
        // A dropped retry puts the retried attempt back, still held; an emptied status gets its attempt back.
        recorded => {
            let remembered = held.ctx.state.attempts.sent_for(&held.uid());
            let remembered = remembered.filter(|remembered| remembered.id == id);
            let start_time = match (recorded, &remembered) {
                (Some(recorded), _) => recorded.start_time.clone(),
                (None, Some(remembered)) => Time(remembered.start_time),
                (None, None) => Time(clock::now()),
            };
            Box::new(CreateAttempt {
                id: id.0.clone(),
                start_time,
                retry_of: remembered.and_then(|remembered| Some(remembered.retry_of?.0)),
                outcome: None,
            })
        }
    };
    // That it has ended, and why it is held, outlives this process: another one need not wait for it.
    if let Some(known) = facts.attempt.as_ref().filter(|known| known.id == id) {
        attempt.outcome = match &known.state {
            AttemptState::Unknown(Ambiguity::ExistingClient) => {
                Some(AttemptOutcome::ExistingClientReturned)
            }
            AttemptState::Unknown(Ambiguity::NoAnswer) | AttemptState::Abandoned => {
                Some(AttemptOutcome::NoAnswer)
            }
            AttemptState::InProgress
            | AttemptState::Unsent { .. }
            | AttemptState::NotCreated(_)
            | AttemptState::Created(_) => attempt.outcome,
        };
    }
    Some(attempt)
}

fn set_conditions(status: &mut OAuthClientStatus, report: &Report, generation: i64) {
    let now = clock::now();
    let mut set = |type_, (value, reason, message): &plan::ConditionUpdate| {
        api::set(
            &mut status.conditions,
            type_,
            *value,
            *reason,
            message.clone(),
            generation,
            now,
        );
    };
    let updates = [
        (ConditionType::Ready, &report.ready),
        (ConditionType::Synced, &report.synced),
        (ConditionType::SecretReady, &report.secret_ready),
    ];
    for (type_, update) in updates {
        if let Some(update) = update {
            set(type_, update);
        }
    }
    let Some((_, reason, message)) = &report.ready else {
        return;
    };
    if reason.needs_action() {
        let stalled = (ConditionStatus::True, *reason, message.clone());
        set(ConditionType::Stalled, &stalled);
    } else {
        api::remove(&mut status.conditions, ConditionType::Stalled);
    }
    status.observed_generation = Some(generation);
}

// Counts the changes of the Secret's content.
fn count_content(held: &Held, facts: &Facts, status: &mut OAuthClientStatus) {
    if let Some(hash) = plan::client(facts).and_then(|id| held.content_hash(&id))
        && status.secret_hash.as_deref() != Some(&hash)
    {
        status.secret_revision = Some(held.next_revision());
        status.secret_hash = Some(hash);
    }
}

// Closes a rotation that GET shows to be done, now that the Secret holds the new secret.
fn close_rotation(facts: &Facts, status: &mut OAuthClientStatus) {
    let Vendor::Found(found) = &facts.vendor else {
        return;
    };
    let (Some(record), Some(open)) = (&mut status.rotation, &facts.rotation.open) else {
        return;
    };
    if !found.rotated {
        record.accepted = open.state.was_accepted();
        record.not_applied = open.state == RotationState::NotApplied;
        return;
    }
    if !record.scheduled {
        status.last_handled_rotate = Some(record.token.clone());
    }
    status.last_rotation_time = Some(Time(clock::now()));
    status.rotation = None;
}

// Remembers fields that an update did not change, so that they are not sent again, by this process or another.
fn set_not_applied(
    facts: &Facts,
    report: &Report,
    generation: i64,
    status: &mut OAuthClientStatus,
) {
    let Vendor::Found(found) = &facts.vendor else {
        return;
    };
    let not_applied = report
        .synced
        .as_ref()
        .is_some_and(|(_, reason, _)| *reason == Reason::UpdateNotApplied);
    status.fields_not_applied = not_applied.then(|| {
        Box::new(FieldsNotApplied {
            generation,
            fields: found.differs.iter().map(ToString::to_string).collect(),
        })
    });
}

// Remembers a rejected generation, whatever else is reported meanwhile.
fn set_rejected(facts: &Facts, generation: i64, status: &mut OAuthClientStatus) {
    let rejected = facts
        .blocked
        .as_ref()
        .is_some_and(|blocked| blocked.reason == Reason::SpecRejected);
    if rejected {
        status.rejected_generation = Some(generation);
    } else if status.rejected_generation != Some(generation) {
        status.rejected_generation = None;
    }
}

/// Whether no operator has reported on the object yet.
pub(crate) fn is_first_look(status: &OAuthClientStatus) -> bool {
    status
        .observed_generation
        .is_none_or(|generation| generation < 0)
}
