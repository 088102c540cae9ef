//! What a reconcile holds between its steps: the view of the object, answers with secrets in them, permits and locks. None of
//! it is a fact; the plan never sees it.

mod content;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PostParams};
use kube::{Resource, ResourceExt};
use provident_core::api::{EventReason, MANAGER, OAuthClient, Reason};
use provident_core::binding::{BindingKey, Bound};
use provident_core::plan::{Content, SecretFacts};
use provident_core::secret::SecretMetadata;
use provident_core::vendor::types::VendorClient;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Abort, SOON};
use crate::cluster;
use crate::cluster::events::{EventType, publish};
use crate::context::Context;
use crate::reconcile::patch_params;
use crate::state::connection_key::ConnectionKey;
use crate::state::keyed_locks::KeyedLock;
use crate::vendor::connection::VendorConnection;
use crate::vendor::limiter::Permit;

/// What proves the right to a client.
pub(crate) enum Proof {
    /// This text must equal the client's secret.
    Text(SecretString),
    /// The object's own Secret must hold what the client's secret makes of `spec.secret.stringData`.
    OwnSecret,
}

/// What a reconcile holds between its steps.
pub(crate) struct Held {
    pub ctx: Arc<Context>,
    /// The view; each write of ours replaces it with the API server's answer.
    pub object: OAuthClient,
    pub key: Option<BindingKey>,
    /// The uid of the object's namespace; `None` without the right to read it.
    pub namespace_uid: Option<Arc<str>>,
    pub connection: Option<Arc<VendorConnection>>,
    /// The Secret as it was read or written in this reconcile; `None` if absent, not read, or known by its version.
    pub secret: Option<Secret>,
    /// The vendor's client with its secret, as returned in this reconcile.
    pub client: Option<VendorClient>,
    /// The namespace is being deleted, and what its connection needs went first: nothing can bring it back there.
    pub connection_lost: bool,
    /// The connection allows this namespace to adopt clients.
    pub may_adopt: bool,
    /// What proves the right to the client to adopt.
    pub proof: Option<Proof>,
    /// From the preflight to the create or the rotation.
    pub permit: Option<Permit>,
    /// The Secret's name in a create, the client in an adoption or a deactivation.
    pub lock: Option<KeyedLock>,
    /// The turn of a scheduled rotation.
    pub rotation_turn: Option<KeyedLock>,
    /// Workloads were restarted in this reconcile.
    pub restarted: bool,
}

impl Held {
    pub fn uid(&self) -> String {
        self.object.uid().unwrap_or_default()
    }

    pub fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }

    /// Takes a lock for the rest of this reconcile.
    ///
    /// # Errors
    /// [`Abort::Requeue`] while another reconcile holds it.
    pub fn take_lock(&mut self, name: String) -> Result<(), Abort> {
        let lock = self.ctx.state.locks.take(name);
        self.lock = Some(lock.ok_or(Abort::Requeue(SOON))?);
        Ok(())
    }

    /// The version of the Secret that status records for this generation.
    pub fn recorded_secret_version(&self) -> Option<&str> {
        let status = self.object.status.as_ref();
        status
            .filter(|status| status.observed_generation == self.object.metadata.generation)
            .and_then(|status| status.secret_resource_version.as_deref())
    }

    /// What the binding of this object's client covers.
    pub fn bound(&self) -> Bound<'_> {
        let meta = &self.object.metadata;
        Bound {
            connection: &self.object.spec.connection_ref,
            namespace: meta.namespace.as_deref().unwrap_or_default(),
            namespace_uid: self.namespace_uid.as_deref(),
            name: meta.name.as_deref().unwrap_or_default(),
        }
    }

    /// Reads the Secret. Whether it holds the right content is unknown then.
    pub async fn read_secret(&mut self) -> Result<SecretFacts, Abort> {
        let secrets = self.ctx.secrets(&self.namespace());
        let found = secrets.get_opt(self.object.secret_name()).await;
        self.secret = found.map_err(Abort::Api)?;
        Ok(match &self.secret {
            Some(found) => {
                self.secret_facts(&SecretMetadata::of(&found.metadata), Content::Unknown)
            }
            None => SecretFacts::Absent,
        })
    }

    /// Merges into status, guarded by the resourceVersion of the view that it was computed from.
    pub async fn patch_status(&mut self, status: Value) -> Result<(), Abort> {
        let patch = json!({
            "metadata": { "resourceVersion": self.object.resource_version() },
            "status": status,
        });
        let api = self.ctx.objects(&self.namespace());
        let written = api
            .patch_status(
                &self.object.name_any(),
                &patch_params(),
                &Patch::Merge(&patch),
            )
            .await;
        self.adopt_written(written.map_err(abort_for)?);
        Ok(())
    }

    /// Takes the API server's answer to a write of ours as the view. The watch may still show what it replaced.
    pub fn adopt_written(&mut self, written: OAuthClient) {
        if let Some(before) = self.object.resource_version()
            && written.resource_version().as_ref() != Some(&before)
        {
            self.ctx.state.views.replaced(&self.uid(), &before);
        }
        self.object = written;
    }

    /// The object as it is now, if it is still the one in view.
    pub async fn live(&self) -> Result<OAuthClient, Abort> {
        let api = self.ctx.objects(&self.namespace());
        let live = api.get(&self.object.name_any()).await.map_err(abort_for)?;
        if live.uid() == self.object.uid() {
            Ok(live)
        } else {
            Err(Abort::StaleView)
        }
    }

    /// Fails if the spec changed since the view was taken, for example its policy to `Retain`.
    pub async fn check_generation(&self) -> Result<(), Abort> {
        let live = self.live().await?;
        if live.metadata.generation == self.object.metadata.generation {
            Ok(())
        } else {
            Err(Abort::StaleView)
        }
    }

    /// Publishes an event about the object.
    pub async fn event(&self, reason: EventReason, note: &str) {
        let type_ = if reason.is_warning() {
            EventType::Warning
        } else {
            EventType::Normal
        };
        self.publish(type_, reason.as_str(), note).await;
    }

    /// Publishes a transition of the condition Ready.
    pub async fn condition_event(&self, type_: EventType, reason: Reason, note: &str) {
        self.publish(type_, reason.as_str(), note).await;
    }

    async fn publish(&self, type_: EventType, reason: &str, note: &str) {
        let (client, reporter) = (&self.ctx.client, &self.ctx.reporter);
        let about = self.object.object_ref(&());
        publish(client, reporter, &about, type_, reason, note).await;
    }

    /// The connection's key in the registry.
    pub fn connection_key(&self) -> ConnectionKey {
        ConnectionKey::of(&self.object)
    }

    /// Asks the connection's controller to reconcile it.
    pub fn trigger_connection(&self) {
        self.ctx.state.connections.trigger(&self.connection_key());
    }
}

/// A refused write: the view was stale, the object is gone, or the API server failed.
pub(crate) fn abort_for(error: kube::Error) -> Abort {
    if cluster::is_conflict(&error) {
        Abort::StaleView
    } else if cluster::is_not_found(&error) {
        Abort::ObjectGone
    } else {
        Abort::Api(error)
    }
}

/// Our field manager, for POST and PUT.
pub(crate) fn post_params(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(MANAGER.to_owned()),
    }
}
