//! Carries out one step, and notes what is known then.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tracing::{info, warn};

use super::observe::Pass;
use super::{Halt, SOON};
use crate::api::{FINALIZER, MANAGER, Reason};
use crate::cluster;
use crate::plan::{
    self, Content, Field, Found, Known, Retry, SecretSeen, Step, Stop, Vendor, differing,
    update_request,
};
use crate::provident::connection::Connection;
use crate::provident::error::CallError;
use crate::provident::limiter::Permit;
use crate::provident::types::{ClientId, UpdateRequest, VendorClient};
use crate::secret::{self, Values};

impl Pass {
    /// The one match over all steps.
    pub async fn act(&mut self, step: Step) -> Result<(), Halt> {
        match step {
            Step::Preflight => self.preflight().await,
            Step::AddFinalizer => self.add_finalizer().await,
            Step::Claim { retry_of } => self.claim(retry_of).await,
            Step::Create => self.create().await,
            Step::Verify(id) => self.verify(&id).await,
            Step::Update(id, fields) => self.update(&id, &fields).await,
            Step::WriteSecret(id) => self.write_secret(&id).await,
            Step::Deactivate(id) => self.deactivate(&id).await,
            Step::DisownSecret => self.disown_secret().await,
            Step::Release => self.release().await,
        }
    }

    async fn add_finalizer(&mut self) -> Result<(), Halt> {
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        self.write_finalizers(finalizers).await?;
        self.seen.finalizer = true;
        Ok(())
    }

    async fn release(&mut self) -> Result<(), Halt> {
        if plan::is_held(&self.seen)
            && let Some(attempt) = &self.seen.attempt
        {
            let note = format!(
                "Released with create attempt {} unresolved: a client named \"{}\" may exist at the vendor",
                attempt.id,
                self.object.vendor_name()
            );
            self.event(true, "Released", &note).await;
        }
        if let Some(client_id) = plan::client(&self.seen) {
            info!(%client_id, policy = ?self.object.spec.deletion_policy, "released");
        }
        let finalizers = self
            .object
            .finalizers()
            .iter()
            .filter(|f| *f != FINALIZER)
            .cloned()
            .collect();
        match self.write_finalizers(finalizers).await {
            Ok(()) | Err(Halt::Gone) => {}
            Err(halt) => return Err(halt),
        }
        let uid = self.object.uid().unwrap_or_default();
        self.ctx.memory.forget_object(&uid);
        self.ctx.backoff.clear(&uid);
        self.ctx.metrics.forget(&uid);
        Ok(())
    }

    // With resourceVersion, so that a finalizer is never set or taken away on a stale view.
    async fn write_finalizers(&mut self, finalizers: Vec<String>) -> Result<(), Halt> {
        let patch = json!({ "metadata": {
            "resourceVersion": self.object.resource_version(),
            "finalizers": finalizers,
        }});
        let api = self.ctx.objects(&self.namespace());
        let written = api
            .patch(&self.object.name_any(), &params(), &Patch::Merge(&patch))
            .await;
        self.object = written.map_err(stale_or)?;
        Ok(())
    }

    async fn verify(&mut self, id: &ClientId) -> Result<(), Halt> {
        let connection = self.connection()?;
        let permit = self.turn(&connection).await?;
        match connection.client.get(permit, id).await {
            Ok(client) => {
                self.ctx.metrics.vendor("get", "200");
                self.proved(&connection);
                self.verified();
                self.found(client, false);
                self.require_secret()
            }
            Err(CallError::NotFound) if connection.is_proven() => {
                self.ctx.metrics.vendor("get", "404");
                self.verified();
                self.seen.vendor = Vendor::Missing;
                Ok(())
            }
            Err(error) => Err(self.failed("get", &connection, &error)),
        }
    }

    async fn update(&mut self, id: &ClientId, fields: &[Field]) -> Result<(), Halt> {
        let connection = self.connection()?;
        self.unchanged().await?;
        let permit = self.turn(&connection).await?;
        match connection
            .client
            .update(permit, id, &update_request(&self.object.spec, fields))
            .await
        {
            Ok(client) => {
                self.ctx.metrics.vendor("update", "200");
                self.proved(&connection);
                info!(client_id = %id, fields = plan::names(fields), "updated the client");
                self.found(client, true);
                self.event(
                    false,
                    "Updated",
                    &format!("Updated at the vendor: {}", plan::names(fields)),
                )
                .await;
                Ok(())
            }
            Err(error) => Err(self.failed("update", &connection, &error)),
        }
    }

    async fn deactivate(&mut self, id: &ClientId) -> Result<(), Halt> {
        let connection = self.connection()?;
        let permit = self.turn(&connection).await?;
        self.unchanged().await?;
        let request = UpdateRequest {
            is_active: Some(false),
            ..UpdateRequest::default()
        };
        match connection.client.update(permit, id, &request).await {
            Ok(client) if client.is_active == Some(false) => {
                self.ctx.metrics.vendor("deactivate", "200");
                self.proved(&connection);
                info!(client_id = %id, "deactivated the client");
                self.seen.vendor = Vendor::Deactivated;
                Ok(())
            }
            Ok(_) => Err(stop(
                Reason::VendorUnavailable,
                "The vendor took isActive: false and did not apply it",
                Retry::Backoff,
            )),
            Err(CallError::NotFound) if connection.is_proven() => {
                self.ctx.metrics.vendor("deactivate", "404");
                self.seen.vendor = Vendor::Missing;
                Ok(())
            }
            Err(error) => Err(self.failed("deactivate", &connection, &error)),
        }
    }

    /// Takes in the vendor's client as the facts a plan rests on.
    pub fn found(&mut self, client: VendorClient, updated: bool) {
        self.seen.vendor = Vendor::Found(Found {
            differs: differing(&self.object.spec, &client),
            updated,
            credentials: client.client_secret.is_some(),
            active: client.is_active != Some(false),
        });
        // A PUT's answer without the secret does not take away the one in hand.
        let secret = client
            .client_secret
            .clone()
            .or_else(|| self.vendor.take().and_then(|v| v.client_secret));
        self.vendor = Some(VendorClient {
            client_secret: secret,
            ..client
        });
        self.compare_secret();
    }

    // What GET answers includes the secret (API document); without it nothing can be kept in a Secret.
    fn require_secret(&self) -> Result<(), Halt> {
        if self
            .vendor
            .as_ref()
            .is_some_and(|client| client.client_secret.is_some())
        {
            return Ok(());
        }
        Err(stop(
            Reason::VendorUnavailable,
            "The vendor's answer lacks clientSecret",
            Retry::Backoff,
        ))
    }

    /// What a Secret for this client should be; `None` without credentials in hand.
    pub fn desired(&self, id: &ClientId) -> Option<k8s_openapi::api::core::v1::Secret> {
        let client_secret = self.vendor.as_ref()?.client_secret.as_ref()?;
        let token_url = self.connection.as_ref().map(|c| c.client.token_url())?;
        let mac = self.key.as_ref()?.mac(self.bound(), id);
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        Some(secret::render(&self.object, values, &mac))
    }

    fn compare_secret(&mut self) {
        let Some(desired) = plan::client(&self.seen).and_then(|id| self.desired(&id)) else {
            return;
        };
        let Some(observed) = &self.secret else { return };
        let current = secret::is_current(observed, &desired);
        let content = if current {
            Content::Current
        } else {
            Content::Stale
        };
        self.seen.secret = self.secret_seen(&observed.metadata, content);
    }

    async fn write_secret(&mut self, id: &ClientId) -> Result<(), Halt> {
        let Some(desired) = self.desired(id) else {
            return Err(stop(
                Reason::ConnectionNotReady,
                "The connection is gone; its URL belongs into the Secret",
                Retry::Backoff,
            ));
        };
        let answered = self
            .seen
            .attempt
            .as_ref()
            .filter(|a| matches!(a.known, Known::Created(_)));
        let age = answered.and_then(|attempt| self.ctx.memory.age(&attempt.id));
        let fresh = age.is_some();
        if age.is_some_and(|age| age > self.ctx.settings.secret_first_within()) {
            // Soon another process may take this attempt for over, and no resourceVersion guards the Secret against
            // that: without credentials in hand status comes first, under its own.
            self.seen.vendor = Vendor::NotAsked;
            return Ok(());
        }
        if !fresh {
            self.still_there().await?;
        }
        let api = self.ctx.secrets(&self.namespace());
        let post = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match &self.secret {
            // Create, never apply: a stranger's Secret that came meanwhile is not overwritten.
            None => api.create(&post, &desired).await,
            Some(observed) => {
                api.replace(
                    self.object.secret_name(),
                    &post,
                    &secret::merge(observed, &desired),
                )
                .await
            }
        };
        match written {
            Ok(secret) => {
                self.ctx.metrics.secret_written(fresh);
                info!(secret = self.object.secret_name(), client_id = %id, "wrote the Secret");
                self.seen.secret = self.secret_seen(&secret.metadata, Content::Current);
                self.secret = Some(secret);
                Ok(())
            }
            // Also our own write, answered 504 and yet done: the next pass sees whose it is.
            Err(error) if cluster::is_already_exists(&error) || cluster::is_conflict(&error) => {
                self.secret = api
                    .get_opt(self.object.secret_name())
                    .await
                    .map_err(Halt::Cluster)?;
                let Some(observed) = &self.secret else {
                    return Err(Halt::Again(SOON));
                };
                self.seen.secret = self.secret_seen(&observed.metadata, Content::Stale);
                self.compare_secret();
                match &self.seen.secret {
                    SecretSeen::Present {
                        owner: plan::Owner::Other | plan::Owner::None,
                        ..
                    } => Ok(()),
                    SecretSeen::Present {
                        content: Content::Current,
                        ..
                    } => Ok(()),
                    _ => Err(Halt::Again(SOON)),
                }
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    // Nobody may have changed the policy to Retain since the view was taken.
    async fn unchanged(&self) -> Result<(), Halt> {
        let live = self
            .ctx
            .objects(&self.namespace())
            .get(&self.object.name_any())
            .await;
        let live = live.map_err(stale_or)?;
        if live.uid() == self.object.uid()
            && live.metadata.generation == self.object.metadata.generation
        {
            return Ok(());
        }
        Err(Halt::Again(SOON))
    }

    // A repair must not bring a Secret back for an object that is gone or going.
    async fn still_there(&self) -> Result<(), Halt> {
        let live = self
            .ctx
            .objects(&self.namespace())
            .get(&self.object.name_any())
            .await
            .map_err(stale_or)?;
        if live.uid() == self.object.uid() && live.metadata.deletion_timestamp.is_none() {
            return Ok(());
        }
        Err(Halt::Again(SOON))
    }

    async fn disown_secret(&mut self) -> Result<(), Halt> {
        let api = self.ctx.secrets(&self.namespace());
        let name = self.object.secret_name().to_owned();
        let Some(observed) = api.get_opt(&name).await.map_err(Halt::Cluster)? else {
            self.seen.secret = SecretSeen::Absent;
            return Ok(());
        };
        let disowned = secret::disown(&observed, &self.object);
        match api.replace(&name, &PostParams::default(), &disowned).await {
            Ok(secret) => {
                self.seen.secret = self.secret_seen(&secret.metadata, Content::Unknown);
                Ok(())
            }
            Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => {
                Err(Halt::Again(SOON))
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    // The API server's words are not shown here: what it refused held the credentials, and a policy may quote it.
    fn refused(&self, error: kube::Error) -> Halt {
        let Some(code) = cluster::refusal(&error) else {
            return Halt::Cluster(error);
        };
        let immutable = self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.immutable == Some(true));
        let name = self.object.secret_name();
        if immutable && code == 422 {
            let message = format!(
                "spec.secret.name: the Secret {name} is immutable and differs. Delete it; it is written anew"
            );
            return stop(Reason::SecretImmutable, message, Retry::Backoff);
        }
        let message = format!(
            "The API server refuses the Secret {name} ({code}). Look at quotas, admission policies and the operator's rights \
             in namespace {}; the client is recorded and nothing is lost",
            self.namespace()
        );
        stop(Reason::SecretWriteDenied, message, Retry::Backoff)
    }

    /// The connection that [`plan::next`] found usable.
    pub fn connection(&self) -> Result<std::sync::Arc<Connection>, Halt> {
        self.connection.clone().ok_or_else(|| {
            stop(
                Reason::ConnectionNotReady,
                "The connection is not ready",
                Retry::Backoff,
            )
        })
    }

    /// A turn of the connection's limiter; without one the object comes back, and nothing is said of it.
    pub async fn turn(&self, connection: &Connection) -> Result<Permit, Halt> {
        connection.limiter.permit().await.map_err(|throttled| {
            self.ctx.metrics.throttled();
            Halt::Again(throttled.0.max(SOON))
        })
    }

    fn proved(&self, connection: &Connection) {
        if connection.prove() {
            self.ctx.connections.poke(&self.object.spec.connection_ref);
        }
    }

    fn failed(&self, operation: &'static str, connection: &Connection, error: &CallError) -> Halt {
        self.ctx.metrics.vendor(operation, code(error));
        self.told(connection, error)
    }

    /// A failed call, as it is told to the user.
    pub fn told(&self, connection: &Connection, error: &CallError) -> Halt {
        warn!(%error, "the vendor did not do it");
        if error.is_outage() || matches!(error, CallError::Unauthorized | CallError::Forbidden) {
            connection.trouble();
            self.ctx.connections.poke(&self.object.spec.connection_ref);
        }
        let connection_name = &self.object.spec.connection_ref.name;
        match error {
            CallError::Unauthorized => {
                let message = format!(
                    "The vendor refuses the token of connection {connection_name} (401). Put a valid one into its Secret"
                );
                stop(Reason::ConnectionNotReady, message, Retry::Backoff)
            }
            CallError::NotFound => {
                let message = format!(
                    "The vendor answered 404, and connection {connection_name} is not proven yet: it may be another account's token. \
                     This ends when any client behind it is found"
                );
                stop(Reason::ConnectionNotReady, message, Retry::Backoff)
            }
            CallError::Throttled(retry_after) => {
                let pause = connection.limiter.back_off(*retry_after);
                stop(
                    Reason::VendorThrottled,
                    "The vendor limits the rate of requests (429). This ends by itself",
                    Retry::After(pause),
                )
            }
            CallError::Rejected { .. } => {
                let message = format!(
                    "{}. Edit the fields of the spec that it names",
                    sentence(error)
                );
                stop(Reason::SpecRejected, message, Retry::Verification)
            }
            CallError::Forbidden
            | CallError::Status(_)
            | CallError::Unreachable(_)
            | CallError::NotUnderstood(_) => stop(
                Reason::VendorUnavailable,
                format!("{}. Tried again with backoff", sentence(error)),
                Retry::Backoff,
            ),
        }
    }

    pub fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }
}

/// A stop that is told in status.
pub(crate) fn stop(reason: Reason, message: impl Into<String>, retry: Retry) -> Halt {
    Halt::Stop(Stop {
        reason,
        message: message.into(),
        retry,
    })
}

/// A refused write: the view was stale, the object is gone, or the API server is in trouble.
pub(crate) fn stale_or(error: kube::Error) -> Halt {
    if cluster::is_conflict(&error) {
        Halt::Again(SOON)
    } else if cluster::is_not_found(&error) {
        Halt::Gone
    } else {
        Halt::Cluster(error)
    }
}

/// Our field manager, on every patch.
pub(crate) fn params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn sentence(error: &CallError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// The metric label of a failed call: a status of ours to list, never the vendor's text.
fn code(error: &CallError) -> &'static str {
    match error {
        CallError::Unauthorized => "401",
        CallError::Forbidden => "403",
        CallError::NotFound => "404",
        CallError::Throttled(_) => "429",
        CallError::Rejected { .. } => "rejected",
        CallError::Status(500..=599) => "5xx",
        CallError::Status(_) => "other",
        CallError::Unreachable(_) => "none",
        CallError::NotUnderstood(_) => "not_understood",
    }
}
