//! What a reconcile holds between its steps: the view of the object, answers with secrets in them, permits and locks. None of
//! it is a fact; the plan never sees it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PostParams};
use kube::{Resource, ResourceExt};
use provident_core::api::{BINDING_ANNOTATION, EventReason, MANAGER, OAuthClient, Reason};
use provident_core::binding::{BindingKey, Bound, Verification};
use provident_core::plan::{
    Binding, ClientAnswer, Content, Facts, SecretChange, SecretFacts, differing,
};
use provident_core::secret::{self, SecretMetadata, Values};
use provident_core::vendor::types::{ClientId, VendorClient};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Abort, SOON};
use crate::cluster;
use crate::cluster::events::{EventType, publish};
use crate::context::Context;
use crate::reconcile::patch_params;
use crate::state::connection_registry::ConnectionKey;
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

    /// What a Secret's metadata says, for the plan.
    pub fn secret_facts(&self, metadata: &SecretMetadata, content: Content) -> SecretFacts {
        let binding = match &self.key {
            Some(key) => metadata.binding(key, self.bound()),
            None => Binding::Invalid,
        };
        SecretFacts::Present {
            owner: metadata.owner(&self.object),
            binding,
            content,
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

    /// The Secret that should exist for this client; `None` without credentials at hand.
    pub fn desired_secret(&self, id: &ClientId) -> Option<Secret> {
        let client_secret = self.client.as_ref()?.client_secret.as_ref()?;
        let token_url = self.connection.as_ref().map(|c| c.client.token_url())?;
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        Some(secret::render(&self.object, values, &self.mac(id)?))
    }

    /// The binding to `id`: one that is recorded already and valid, so that a right to read namespaces that is gained or lost
    /// rewrites nothing; else a new one.
    pub fn mac(&self, id: &ClientId) -> Option<String> {
        let key = self.key.as_ref()?;
        let status = self.object.status.as_ref();
        let on_secret = self.secret.as_ref().map(ResourceExt::annotations);
        let recorded = [
            on_secret.and_then(|annotations| annotations.get(BINDING_ANNOTATION)),
            status.and_then(|status| status.binding_mac.as_ref()),
        ];
        let is_valid = |mac: &&String| key.verify(self.bound(), id, mac) == Verification::Valid;
        let valid = recorded.into_iter().flatten().find(is_valid).cloned();
        Some(valid.unwrap_or_else(|| key.mac(self.bound(), id)))
    }

    /// Whether the object's own Secret shows knowledge of the secret of a client that the vendor returned.
    pub fn own_secret_proves(&self, id: &ClientId, client: &VendorClient) -> bool {
        let token_url = self.connection.as_ref().map(|c| c.client.token_url());
        let (Some(found), Some(client_secret), Some(token_url)) =
            (&self.secret, &client.client_secret, token_url)
        else {
            return false;
        };
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        secret::proves(found, &self.object, values)
    }

    /// The hash of the content that the Secret should have; `None` without credentials at hand.
    pub fn content_hash(&self, id: &ClientId) -> Option<String> {
        let content = self.desired_secret(id)?.data?;
        Some(self.key.as_ref()?.digest(&content))
    }

    /// The hash of the client's secret at hand.
    pub fn client_secret_hash(&self, id: &ClientId) -> Option<String> {
        let secret = self.client.as_ref()?.client_secret.as_ref()?;
        Some(self.key.as_ref()?.secret_hash(id, secret))
    }

    /// Takes in a client that the vendor returned, compared with the spec, the Secret and the open rotation.
    pub fn take_client(
        &mut self,
        facts: &Facts,
        id: &ClientId,
        client: VendorClient,
    ) -> ClientAnswer {
        let (differs, credentials, active) = (
            differing(&self.object.spec, &client),
            client.client_secret.is_some(),
            client.is_active() != Some(false),
        );
        // An answer to a PUT without the secret does not discard the one at hand.
        let client_secret = client
            .client_secret
            .clone()
            .or_else(|| self.client.take().and_then(|former| former.client_secret));
        self.client = Some(VendorClient {
            client_secret,
            ..client
        });
        ClientAnswer {
            differs,
            credentials,
            active,
            secret: self.compare_secret(&facts.secret, id),
            rotation: self.compare_rotation(id),
            restart: !self.restarted && self.must_restart(id),
        }
    }

    /// The Secret, compared with the credentials at hand.
    pub fn compare_secret(&self, known: &SecretFacts, id: &ClientId) -> SecretFacts {
        let Some(observed) = &self.secret else {
            return self.compare_hash(known.clone(), id);
        };
        let Some(desired) = self.desired_secret(id) else {
            return known.clone();
        };
        let content = if secret::is_current(observed, &desired) {
            Content::Current
        } else {
            Content::Stale
        };
        self.secret_facts(&SecretMetadata::of(&observed.metadata), content)
    }

    // A Secret that is known by its version holds what status says. The vendor may have another secret by now.
    fn compare_hash(&self, known: SecretFacts, id: &ClientId) -> SecretFacts {
        if known.content() != Content::Current {
            return known;
        }
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_hash.as_deref());
        match self.content_hash(id) {
            Some(hash) if recorded != Some(&hash) => known.with_content(Content::Stale),
            _ => known,
        }
    }

    // An unchanged secret is remembered: two of them, far apart, prove that the rotation will not happen.
    fn compare_rotation(&self, id: &ClientId) -> Option<SecretChange> {
        let status = self.object.status.as_ref()?;
        let record = status.rotation.as_ref()?;
        let now = self.client_secret_hash(id)?;
        if now != record.previous_secret_hash {
            return Some(SecretChange::Rotated);
        }
        let (uid, wait) = (self.uid(), self.ctx.config.rotation_wait());
        self.ctx.state.rotations.secret_unchanged(&uid, wait);
        let state = self.ctx.state.rotations.observe(&uid, record, wait);
        Some(SecretChange::Unchanged(state))
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
