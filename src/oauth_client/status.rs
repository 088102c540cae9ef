//! Writes status, once per pass and only if it differs, and tells transitions as events.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Map, Value};
use tracing::{debug, info};

use crate::clock;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::requeue::{age, next_of, until_verification};
use crate::oauth_client::steps::rotate::is_first_look;
use provident_core::api::{
    self, ConditionStatus, ConditionType, CreateAttempt, OAuthClient, OAuthClientStatus, RECONCILE,
    ROTATE, Reason,
};
use provident_core::plan::{
    self, Blocked, Field, MessageContext, NOT_APPLIED, Report, Requeue, RotationState, Vendor,
    needs_a_person,
};

impl Pass {
    /// Ends a pass.
    pub async fn report(&mut self, stop: Option<&Blocked>) -> Result<Requeue, Abort> {
        let attempt = self
            .object
            .status
            .as_ref()
            .and_then(|status| status.create_attempt.as_ref());
        let attempt_time = attempt
            .map(|attempt| attempt.start_time.0.to_string())
            .unwrap_or_default();
        let (namespace, vendor_name) = (self.namespace(), self.object.vendor_name());
        let texts = MessageContext {
            namespace: &namespace,
            name: &self.object.name_any(),
            secret: self.object.secret_name(),
            vendor_name: &vendor_name,
            attempt_time: &attempt_time,
        };
        let report = plan::report(&self.object.spec, &self.facts, stop, texts);
        let before = self.object.status.clone().unwrap_or_default();
        let after = self.status(&before, &report);
        let (old_attempt, told) = (
            attempt.map(|attempt| attempt.id.clone()),
            transition(&before, &after),
        );
        if before == after {
            debug!("nothing to report");
        } else {
            // What differs only: fields that a newer version of the operator wrote stay.
            self.patch_status(difference(&before, &after)).await?;
            if before.rotation.is_some() && after.rotation.is_none() {
                self.ctx
                    .rotations
                    .forget(&self.object.uid().unwrap_or_default());
                self.ctx.metrics.outcomes.rotation("done");
                let note = format!(
                    "Rotated the secret; the Secret {} holds the new one (revision {})",
                    self.object.secret_name(),
                    after.secret_revision.unwrap_or_default()
                );
                info!("rotated the secret");
                self.event(false, Reason::Available, &note).await;
            }
            if before.secret_resource_version.is_none() && !after_is_bad(&after) {
                self.ctx.metrics.outcomes.ready(age(&self.object));
            }
            if let Some((reason, message)) = told {
                self.ctx.metrics.outcomes.told(reason);
                info!(%reason, detail = message, "Ready condition changed");
                // A client that is well at the first look says so in status alone: an event is one more stored write.
                let as_expected = is_first_look(&before) && !after_is_bad(&after);
                if !as_expected && !self.is_the_connections(reason) {
                    self.event(after_is_bad(&after), reason, &message).await;
                }
            }
        }
        let kept = self
            .object
            .status
            .as_ref()
            .and_then(|s| s.create_attempt.as_ref())
            .map(|a| &a.id);
        if let Some(id) = old_attempt.filter(|id| Some(id) != kept) {
            self.ctx.memory.forget(&plan::AttemptId(id));
        }
        // Only now: of a pass that came to nothing, what the vendor said is forgotten too.
        let verified = matches!(self.facts.vendor, Vendor::Found(_) | Vendor::Missing);
        if verified {
            self.verified();
        }
        self.ctx.recorded.set(&self.object);
        let next = until_verification(&self.object);
        self.ctx
            .metrics
            .clients
            .reported(&self.object, verified, next);
        Ok(report.retry)
    }

    fn status(&self, before: &OAuthClientStatus, report: &Report) -> OAuthClientStatus {
        let generation = self.object.metadata.generation.unwrap_or_default();
        let mut status = before.clone();
        let records = plan::recorded_state(&self.facts);
        if let (Some(client), Some(key)) = (&records.client, &self.key) {
            status.client_id = Some(client.to_string());
            status.binding_mac = Some(key.mac(self.bound(), client));
        }
        status.create_attempt = match (records.attempt, &before.create_attempt) {
            (Some(id), Some(open)) if open.id == id.0 => Some(open.clone()),
            // A dropped retry puts the attempt it retried back, still held; when that one began is in the log.
            (Some(id), open) => Some(Box::new(CreateAttempt {
                id: id.0,
                start_time: open
                    .as_ref()
                    .map_or_else(|| Time(clock::now()), |open| open.start_time.clone()),
                retry_of: None,
            })),
            (None, _) => None,
        };
        let now = clock::now();
        let told = [
            (ConditionType::Ready, &report.ready),
            (ConditionType::Synced, &report.synced),
            (ConditionType::SecretReady, &report.secret_ready),
        ];
        for (type_, told) in told {
            if let Some((value, reason, message)) = told {
                api::set(
                    &mut status.conditions,
                    type_,
                    *value,
                    *reason,
                    message.clone(),
                    generation,
                    now,
                );
            }
        }
        if let Some((_, reason, message)) = &report.ready {
            status.observed_generation = Some(generation);
            if needs_a_person(*reason) {
                let (type_, value) = (ConditionType::Stalled, ConditionStatus::True);
                api::set(
                    &mut status.conditions,
                    type_,
                    value,
                    *reason,
                    message.clone(),
                    generation,
                    now,
                );
            } else {
                api::remove(&mut status.conditions, ConditionType::Stalled);
            }
        }
        let stored = report
            .secret_ready
            .as_ref()
            .is_some_and(|told| told.0 == ConditionStatus::True);
        if stored {
            status.secret_name = Some(self.object.secret_name().to_owned());
            // AttemptState by its version: that is the one recorded already.
            if let Some(secret) = &self.secret {
                status.secret_resource_version = secret.resource_version();
            }
            self.content(&mut status);
            self.rotation(&mut status);
        }
        // Whatever the vendor said of the client: it was asked.
        if stored || matches!(self.facts.vendor, Vendor::Found(_) | Vendor::Missing) {
            status.last_handled_reconcile = self.object.annotations().get(RECONCILE).cloned();
        }
        if is_first_look(before) {
            status.last_handled_rotate = self.object.annotations().get(ROTATE).cloned();
        }
        if status.client_id.is_some() {
            let next = next_of(&self.object, status.last_rotation_time.as_ref());
            status.next_rotation_time = next.and_then(Result::ok).map(Time);
        }
        status
    }

    // Counts the changes of the Secret's content.
    fn content(&self, status: &mut OAuthClientStatus) {
        if let Some(digest) = self.digest()
            && status.secret_hash.as_deref() != Some(&digest)
        {
            status.secret_revision = Some(self.next_revision());
            status.secret_hash = Some(digest);
        }
    }

    // Closes a rotation that GET shows to be done, now that the Secret holds what it made.
    fn rotation(&self, status: &mut OAuthClientStatus) {
        let Vendor::Found(found) = &self.facts.vendor else {
            return;
        };
        let (Some(record), Some(open)) = (&mut status.rotation, &self.facts.rotation.open) else {
            return;
        };
        if !found.rotated {
            record.accepted = matches!(
                open.state,
                RotationState::Accepted | RotationState::NotApplied
            );
            return;
        }
        if !record.scheduled {
            status.last_handled_rotate = Some(record.token.clone());
        }
        status.last_rotation_time = Some(Time(clock::now()));
        status.rotation = None;
    }
}

/// The fields that a PUT of this generation is known not to have changed, as status tells.
pub(crate) fn not_applied(object: &OAuthClient) -> Vec<Field> {
    let conditions = object
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    api::find(conditions, ConditionType::Synced)
        .filter(|told| told.reason == Reason::UpdateNotApplied.as_str())
        .filter(|told| told.observed_generation == object.metadata.generation)
        .and_then(|told| told.message.strip_prefix(NOT_APPLIED))
        .map(plan::parse_names)
        .unwrap_or_default()
}

// What a JSON merge patch (RFC 7386) must say to turn one into the other; lists are replaced whole.
fn difference(before: &OAuthClientStatus, after: &OAuthClientStatus) -> Value {
    // Plain structs always serialize.
    let object = |status| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (object(before), object(after));
    let mut patch: Map<String, Value> = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key.clone(), Value::Null))
        .collect();
    for (key, value) in after {
        let value = match (key.as_str(), before.get(&key)) {
            (_, Some(same)) if *same == value => continue,
            // Of a replaced record nothing may be left.
            ("createAttempt" | "rotation", Some(Value::Object(old))) => {
                let mut whole: Map<String, Value> =
                    old.keys().map(|key| (key.clone(), Value::Null)).collect();
                whole.extend(value.as_object().cloned().unwrap_or_default());
                Value::Object(whole)
            }
            _ => value,
        };
        patch.insert(key, value);
    }
    Value::Object(patch)
}

// A transition is told once: when Ready's status or reason changes.
fn transition(before: &OAuthClientStatus, after: &OAuthClientStatus) -> Option<(Reason, String)> {
    let [old, new] =
        [before, after].map(|status| api::find(&status.conditions, ConditionType::Ready));
    let new = new?;
    let same = old.is_some_and(|old| (&old.status, &old.reason) == (&new.status, &new.reason));
    let reason = Reason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == new.reason)?;
    (!same).then(|| (reason, new.message.clone()))
}

fn after_is_bad(status: &OAuthClientStatus) -> bool {
    api::find(&status.conditions, ConditionType::Ready).is_some_and(|ready| ready.status != "True")
}
