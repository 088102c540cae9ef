//! The create protocol: prove that it can be stored, claim it, send it once, and know what happened.

use kube::ResourceExt;
use kube::api::PostParams;
use kube::runtime::reflector::ObjectRef;
use serde_json::json;
use tracing::{info, warn};

use crate::clock;
use crate::cluster;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::steps::stop;
use crate::oauth_client::{Abort, SOON};
use crate::state::create_attempts::Target;
use crate::vendor::client::CreateReply;
use crate::vendor::connection::{VendorConnection, random_hex};
use provident_core::api::{MANAGER, Reason};
use provident_core::plan::{
    self, Attempt, AttemptId, AttemptState, AutoRetry, Requeue, conflict_message, create_request,
};
use provident_core::secret;
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::{Outcome, Refusal, Reply, classify};

impl Pass {
    /// No effect: a turn of the limiter, and a dry run of the very Secret write with values of the largest size, which
    /// meets rights, quota, admission, a stranger's Secret of that name, and one that is immutable.
    pub async fn preflight(&mut self) -> Result<(), Abort> {
        let connection = self.connection()?;
        let (namespace, name) = (self.namespace(), self.object.secret_name().to_owned());
        let Some(guard) = self.ctx.names.take(format!("secret/{namespace}/{name}")) else {
            return Err(Abort::Requeue(SOON));
        };
        self.name_guard = Some(guard);
        self.permit = Some(self.turn(&connection).await?);
        let post = PostParams {
            dry_run: true,
            field_manager: Some(MANAGER.to_owned()),
        };
        if let Err(error) = connection.client.authorize().await {
            return Err(self.told(&connection, &error));
        }
        let largest = secret::largest(&self.object, &connection.client.token_url());
        let api = self.ctx.secrets(&namespace);
        let has_client = plan::client(&self.facts).is_some();
        if has_client && self.secret.is_none() {
            self.secret = api.get_opt(&name).await.map_err(Abort::Api)?;
        }
        let tried = match &self.secret {
            Some(observed) if has_client => {
                api.replace(&name, &post, &secret::merge(observed, &largest))
                    .await
            }
            _ => api.create(&post, &largest).await,
        };
        match tried {
            Ok(_) => {
                self.facts.preflight = true;
                Ok(())
            }
            // Somebody is at the Secret just now.
            Err(error) if has_client && cluster::is_conflict(&error) => Err(Abort::Requeue(SOON)),
            Err(error) if has_client => Err(self.refused(error)),
            Err(error) if self.secret_unread => {
                self.read_secret().await?;
                // The plan decides what is to become of one that is there, of which a quota's refusal says nothing.
                if self.secret.is_some() || cluster::is_already_exists(&error) {
                    Ok(())
                } else {
                    Err(untried(&name, error))
                }
            }
            Err(error) => Err(untried(&name, error)),
        }
    }

    /// Writes the claim into status. Whoever holds a stale view is refused here; this, and no lease, is what makes a
    /// create happen once.
    pub async fn claim(&mut self, retry_of: Option<AttemptId>) -> Result<(), Abort> {
        let Ok(id) = random_hex() else {
            return Err(stop(
                Reason::Pending,
                "The system's random source failed",
                Requeue::Backoff,
            ));
        };
        let id = AttemptId(id);
        // Before the write: if its answer is lost, this process still knows that it sent nothing.
        let target = Target {
            uid: self.object.uid().unwrap_or_default(),
            secret: self.object.secret_name().to_owned(),
            connection: self.object.spec.connection_ref.clone(),
        };
        self.ctx
            .memory
            .claim(&id, ObjectRef::from_obj(&self.object), target);
        let claim = json!({ "createAttempt": {
            "id": id.0,
            "startTime": clock::now(),
            "retryOf": retry_of.as_ref().map(|id| &id.0),
        }});
        let written = self.patch_status(claim).await;
        if matches!(written, Err(Abort::StaleView | Abort::ObjectGone)) {
            self.ctx.memory.forget(&id);
        }
        written?;
        self.facts.attempt = Some(Attempt {
            id,
            retry_of: retry_of.clone(),
            state: AttemptState::Unsent { in_time: true },
        });
        if let Some(former) = retry_of.filter(|_| self.facts.auto_retry == AutoRetry::Due) {
            self.ctx.metrics.outcomes.possible_orphan();
            let note = format!(
                "The create {former} has no known outcome and is made once more, as unknownOutcome: Retry of the connection says. \
                 A client named \"{}\" may be at the vendor twice",
                self.object.vendor_name()
            );
            self.event(true, Reason::CreateOutcomeUnknown, &note).await;
        }
        Ok(())
    }

    /// Sends the create, once, and classifies what came back.
    pub async fn create(&mut self) -> Result<(), Abort> {
        let connection = self.connection()?;
        let (Some(id), Some(permit)) = (
            self.facts.attempt.as_ref().map(|a| a.id.clone()),
            self.permit.take(),
        ) else {
            // A claim of an earlier pass, without a preflight of this one: dropped, and begun anew.
            self.set_known(AttemptState::Unsent { in_time: false });
            return Ok(());
        };
        let uid = self.object.uid().unwrap_or_default();
        let known = self
            .ctx
            .memory
            .known(&id, &uid, self.ctx.config.attempt_wait);
        if known != (AttemptState::Unsent { in_time: true }) || connection.is_breaker_open() {
            self.set_known(AttemptState::Unsent { in_time: false });
            return Ok(());
        }
        let request = create_request(&self.object);
        info!(attempt = %id, client_name = self.object.vendor_name(), "creating the client");
        self.ctx.memory.sending(&id);
        let reply = connection.client.create(permit, &request).await;
        let outcome = classify(&reply.reply, |client| {
            self.ctx.recorded.elsewhere(client, &uid)
        });
        self.ctx.metrics.outcomes.created(&outcome);
        match outcome {
            Outcome::Created(client_id) => {
                // The log first: whatever happens to this process, the clientId is written down somewhere.
                info!(attempt = %id, %client_id, "the vendor made the client");
                let client = reply.client.unwrap_or_default();
                self.ctx.memory.created(&id, client_id.clone());
                self.set_known(AttemptState::Created(client_id));
                self.found(client, false);
                Ok(())
            }
            Outcome::Unknown(doubt) => {
                warn!(attempt = %id, ?doubt, reply = reply.label(), "whether the vendor made a client is not state: held");
                self.ctx.memory.unknown(&id, doubt);
                self.set_known(AttemptState::Unknown(doubt));
                connection.open_breaker();
                self.observe_retry();
                Ok(())
            }
            Outcome::NotCreated(refusal) => {
                self.ctx.memory.not_created(&id, refusal);
                self.set_known(AttemptState::NotCreated(refusal));
                Err(self.refusal("create", refusal, &reply, &connection))
            }
        }
    }

    fn set_known(&mut self, state: AttemptState) {
        if let Some(attempt) = &mut self.facts.attempt {
            attempt.state = state;
        }
    }

    /// What is told of a call that is known not to have been carried out.
    pub fn refusal(
        &self,
        call: &str,
        refusal: Refusal,
        reply: &CreateReply,
        connection: &VendorConnection,
    ) -> Abort {
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
                let name = &self.object.spec.connection_ref.name;
                let message = format!(
                    "The vendor answered a {call} with {status}. Look at spec.baseUrl of connection {name}"
                );
                return stop(Reason::ConnectionNotReady, message, Requeue::Backoff);
            }
        };
        self.told(connection, &error)
    }
}

// The Secret would be refused, so nothing is sent.
fn untried(name: &str, error: kube::Error) -> Abort {
    if cluster::is_already_exists(&error) {
        return stop(
            Reason::SecretConflict,
            conflict_message(name),
            Requeue::Backoff,
        );
    }
    if cluster::refusal(&error).is_none() {
        return Abort::Api(error);
    }
    let message = format!(
        "The API server would refuse the Secret {name}, so no client is created: {}",
        cluster::message(&error)
    );
    stop(Reason::SecretWriteDenied, message, Requeue::Backoff)
}
