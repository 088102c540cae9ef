//! Rotation: record it, send it once, let GET decide.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::clock;
use crate::cluster;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::requeue::next_of;
use crate::oauth_client::steps::stop;
use provident_core::api::{self, ConditionType, OAuthClientStatus, ROTATE, Reason, RotationRecord};
use provident_core::plan::{
    self, CLOCKS_WITHIN, NoSchedule, Open, RecordedClient, Requeue, RotationState, Token, Vendor,
    Wait, not_rotated,
};
use provident_core::vendor::outcome::{Outcome, Refusal, Reply, classify};
use provident_core::vendor::types::ClientId;

impl Pass {
    pub async fn observe_rotation(&mut self) -> Result<(), Abort> {
        let status = self.object.status.clone().unwrap_or_default();
        self.facts.rotation.open = status.rotation.as_ref().map(|record| Open {
            token: Token {
                text: record.token.clone(),
                scheduled: record.scheduled,
            },
            state: self.known_rotation(&status, record),
        });
        if status.rotation.is_none() {
            let uid = self.object.uid().unwrap_or_default();
            self.ctx.rotations.forget(&uid);
        }
        // A token that came with the object is acknowledged: it may be a copy of one that was obeyed long ago.
        let came_with_it = is_first_look(&status) && status.rotation.is_none();
        if self.may_rotate() && !came_with_it {
            let due = self.due(status.last_rotation_time.as_ref()).await?;
            self.facts.rotation.asked = self.asked(due);
        }
        Ok(())
    }

    fn known_rotation(&self, status: &OAuthClientStatus, record: &RotationRecord) -> RotationState {
        let uid = self.object.uid().unwrap_or_default();
        let wait = self.ctx.config.rotation_wait();
        match self.ctx.rotations.known(&uid, record, wait) {
            // By an earlier pass or an earlier run: it stays told.
            RotationState::Accepted if is_told_as_not_applied(status, record) => {
                RotationState::NotApplied
            }
            known => known,
        }
    }

    fn may_rotate(&self) -> bool {
        let suspended = self.object.spec.suspend == Some(true);
        !self.facts.deleting && !suspended && matches!(self.facts.record, RecordedClient::Bound(_))
    }

    fn asked(&self, due: Option<Timestamp>) -> Option<Token> {
        let annotation = self.object.annotations().get(ROTATE);
        let status = self.object.status.as_ref();
        let handled = status.and_then(|status| status.last_handled_rotate.as_deref());
        let open = self.facts.rotation.open.as_ref();
        plan::asked(annotation.map(String::as_str), handled, due, open)
    }

    // What the schedule asks for now, if it is its turn: one scheduled rotation at a time per connection.
    async fn due(&mut self, last: Option<&Time>) -> Result<Option<Timestamp>, Abort> {
        if self.asked(None).is_some() {
            return Ok(None);
        }
        let due = match next_of(&self.object, last) {
            None => return Ok(None),
            Some(Err(NoSchedule)) => {
                self.facts.rotation.waits = Some(Wait::Schedule);
                return Ok(None);
            }
            Some(Ok(due)) => due,
        };
        let Some(connection) = &self.connection else {
            return Ok(None);
        };
        if due > Timestamp::now() || self.asked(Some(due)).is_none() {
            return Ok(None);
        }
        let turn = format!("rotate/{}", connection.fingerprint);
        self.rotation_turn = self.ctx.names.take(turn);
        if self.rotation_turn.is_none() {
            self.facts.rotation.waits = Some(Wait::Turn);
            return Ok(None);
        }
        let apart = cluster::clock_difference(&self.ctx.client)
            .await
            .map_err(Abort::Api)?;
        if apart.is_none_or(|apart| apart > CLOCKS_WITHIN) {
            warn!(
                ?apart,
                "this host's clock is not the API server's: the scheduled rotation waits"
            );
            self.rotation_turn = None;
            self.facts.rotation.waits = Some(Wait::Clock);
            return Ok(None);
        }
        Ok(Some(due))
    }

    /// Writes the record into status. Whoever holds a stale view is refused here.
    pub async fn record_rotation(&mut self, token: Token) -> Result<(), Abort> {
        let before = self.secret_hash().ok_or(Abort::StaleView)?;
        let record = RotationRecord {
            token: token.text.clone(),
            previous_secret_hash: before,
            start_time: Time(clock::now()),
            scheduled: token.scheduled,
            accepted: false,
            not_applied: false,
        };
        let uid = self.object.uid().unwrap_or_default();
        let status = self.object.status.as_ref();
        // What the vendor said yes to is not asked for again, though another token takes its place.
        let replaced = status
            .and_then(|status| status.rotation.as_ref())
            .filter(|open| open.accepted && !open.scheduled)
            .map(|open| open.token.clone());
        let handled = replaced.or(status.and_then(|status| status.last_handled_rotate.clone()));
        // Of a record whose write was not answered nobody knows whose it is, so it is nobody's.
        self.ctx.rotations.forget(&uid);
        self.patch_status(json!({
            "lastHandledRotate": handled,
            "rotation": {
                "token": record.token,
                "previousSecretHash": record.previous_secret_hash,
                "startTime": record.start_time,
                // In a merge patch null takes away what a former record may have had.
                "scheduled": token.scheduled.then_some(true),
                "accepted": Value::Null,
            },
        }))
        .await?;
        self.ctx.rotations.recorded(&uid, &record);
        self.facts.rotation.open = Some(Open {
            token,
            state: RotationState::Unsent { in_time: true },
        });
        if let Vendor::Found(found) = &mut self.facts.vendor {
            found.rotated = false;
        }
        Ok(())
    }

    /// Sends the rotation, once. Its body is not read: GET answers the secret (API document).
    pub async fn rotate(&mut self, id: &ClientId) -> Result<(), Abort> {
        let connection = self.connection()?;
        let uid = self.object.uid().unwrap_or_default();
        let status = self.object.status.as_ref();
        let open = status.and_then(|status| Some((status, status.rotation.as_ref()?)));
        let known = open.map(|(status, record)| self.known_rotation(status, record));
        let (Some(RotationState::Unsent { in_time: true }), Some(permit)) =
            (known, self.permit.take())
        else {
            self.sent(RotationState::Unsent { in_time: false });
            // The permit went with it.
            self.facts.preflight = false;
            return Ok(());
        };
        info!(client_id = %id, "rotating the secret");
        self.ctx.rotations.sending(&uid);
        self.outdated();
        let reply = connection.client.rotate(permit, id).await;
        // Whatever was said, GET decides.
        self.facts.vendor = Vendor::NotAsked;
        if matches!(
            reply.reply,
            Reply::Answer {
                status: 200..=299,
                ..
            }
        ) {
            self.ctx.rotations.accepted(&uid);
            self.sent(RotationState::Accepted);
            self.ctx.metrics.outcomes.rotation("accepted");
            return Ok(());
        }
        match classify(&reply.reply, |_| false) {
            Outcome::NotCreated(refusal) => {
                self.ctx.rotations.refused(&uid);
                self.sent(RotationState::Refused);
                self.ctx.metrics.outcomes.rotation("refused");
                let halt = self.refusal("rotation", refusal, &reply, &connection);
                if refusal != Refusal::Invalid {
                    return Err(halt);
                }
                // It names no field, so there is nothing in the spec to edit.
                let note = format!(
                    "The vendor refused the rotation ({}); the former secret stays in use, and it is tried again with backoff",
                    reply.label()
                );
                self.event(true, Reason::VendorUnavailable, &note).await;
                Err(stop(Reason::VendorUnavailable, note, Requeue::Backoff))
            }
            Outcome::Created(_) | Outcome::Unknown(_) => {
                warn!(client_id = %id, reply = reply.label(), "whether the vendor rotated is not known yet");
                self.sent(RotationState::InProgress);
                self.ctx.metrics.outcomes.rotation("unknown");
                Ok(())
            }
        }
    }

    fn sent(&mut self, state: RotationState) {
        if let Some(open) = &mut self.facts.rotation.open {
            open.state = state;
        }
    }

    /// Whether the secret in hand is another one than before the open rotation; that it is not is remembered.
    pub fn is_rotated(&mut self) -> bool {
        let status = self.object.status.as_ref();
        let open = status.and_then(|status| Some((status, status.rotation.as_ref()?)));
        let (Some((status, record)), Some(now)) = (open, self.secret_hash()) else {
            return false;
        };
        if now != record.previous_secret_hash {
            return true;
        }
        let uid = self.object.uid().unwrap_or_default();
        let wait = self.ctx.config.rotation_wait();
        self.ctx.rotations.unmoved(&uid, wait);
        self.sent(self.known_rotation(status, record));
        false
    }

    // The hash of the secret in hand.
    fn secret_hash(&self) -> Option<String> {
        let id = plan::client(&self.facts)?;
        let secret = self.vendor.as_ref()?.client_secret.as_ref()?;
        Some(self.key.as_ref()?.secret_hash(&id, secret))
    }
}

// The vendor has said yes and did not do it.
fn is_told_as_not_applied(status: &OAuthClientStatus, record: &RotationRecord) -> bool {
    let told = api::find(&status.conditions, ConditionType::Ready);
    let such = not_rotated(&record.token);
    told.is_some_and(|told| told.message.starts_with(&such))
}

/// Whether no operator has reported on the object yet.
pub(crate) fn is_first_look(status: &OAuthClientStatus) -> bool {
    status
        .observed_generation
        .is_none_or(|generation| generation < 0)
}
