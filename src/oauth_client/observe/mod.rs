//! Gathers the facts of one object.

pub mod connection;
pub mod ownership;
mod terminating;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use secrecy::SecretString;

use crate::cluster;
use crate::context::Context;
use crate::oauth_client::{Abort, SOON};
use crate::state::binding_key::KeyState;
use crate::state::keyed_locks::KeyedLock;
use crate::vendor::connection::VendorConnection;
use crate::vendor::limiter::Permit;
use provident_core::api::{
    self, ConditionType, DeletionPolicy, FINALIZER, OAuthClient, RETRY_CREATE, Reason,
};
use provident_core::binding::{BindingKey, Bound};
use provident_core::plan::{
    self, AdoptionFact, Attempt, AttemptId, AttemptState, AutoRetry, Binding, Conflict,
    ConnectionFacts, Content, Facts, RecordedClient, Rotation, SecretFacts, Step, Vendor,
};
use provident_core::secret::SecretMetadata;
use provident_core::vendor::outcome::Ambiguity;
use provident_core::vendor::types::{ClientId, VendorClient};

/// A watch is this far behind at most, if all is well.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// One pass over one object: the view it works on, the facts about it, and what it holds.
pub(crate) struct Pass {
    pub ctx: Arc<Context>,
    /// The view; every write of ours replaces it by what the API server answered.
    pub object: OAuthClient,
    pub facts: Facts,
    /// The Secret as it was read in this pass; `None` if absent, or known by its version.
    pub secret: Option<Secret>,
    /// Whether there is a Secret was not asked: the dry run of the preflight will tell.
    pub secret_unread: bool,
    /// The vendor's client, with its secret, as it was answered in this pass.
    pub vendor: Option<VendorClient>,
    pub connection: Option<Arc<VendorConnection>>,
    pub key: Option<BindingKey>,
    /// Whether the connection lets this namespace take over clients.
    pub may_adopt: bool,
    /// The secret that must equal that of the client to adopt.
    pub proof: Option<SecretString>,
    /// From the preflight to the create or the rotation.
    pub permit: Option<Permit>,
    /// The Secret's name in a create, the client in an adoption.
    pub name_guard: Option<KeyedLock>,
    /// The turn of a scheduled rotation.
    pub rotation_turn: Option<KeyedLock>,
    /// Workloads were restarted in this pass.
    pub restarted: bool,
}

impl Pass {
    pub async fn observe(object: Arc<OAuthClient>, ctx: &Arc<Context>) -> Result<Self, Abort> {
        let object = Self::view(&object, ctx).await?;
        let key = match &*ctx.key.borrow() {
            KeyState::Loaded(key) => Some(BindingKey::clone(key)),
            KeyState::Missing | KeyState::Unknown => None,
        };
        let status = object.status.clone().unwrap_or_default();
        let ready = api::find(&status.conditions, ConditionType::Ready);
        let this_generation = status.observed_generation == object.metadata.generation;
        let uid = object.uid().unwrap_or_default();
        let attempt = status.create_attempt.as_ref().map(|attempt| {
            let id = AttemptId(attempt.id.clone());
            let known = match ctx.memory.known(&id, &uid, ctx.config.attempt_wait) {
                // An earlier run told this; it stays told.
                AttemptState::Abandoned
                    if ready
                        .is_some_and(|c| c.reason == Reason::ExistingClientReturned.as_str()) =>
                {
                    AttemptState::Unknown(Ambiguity::ExistingClient)
                }
                known => known,
            };
            Attempt {
                id,
                retry_of: attempt.retry_of.clone().map(AttemptId),
                state: known,
            }
        });
        let facts = Facts {
            deleting: object.metadata.deletion_timestamp.is_some(),
            finalizer: object.finalizers().iter().any(|f| f == FINALIZER),
            ready: this_generation && ready.is_some_and(|c| c.status == "True"),
            rejected: this_generation
                && ready.is_some_and(|c| c.reason == Reason::SpecRejected.as_str()),
            due: false,
            record: RecordedClient::Empty,
            attempt,
            retry: object
                .annotations()
                .get(RETRY_CREATE)
                .cloned()
                .map(AttemptId),
            secret: SecretFacts::Absent,
            connection: ConnectionFacts::Usable,
            breaker_open: false,
            auto_retry: AutoRetry::No,
            stopping: ctx.stopping.is_cancelled(),
            preflight: false,
            vendor: Vendor::NotAsked,
            not_applied: crate::oauth_client::status::not_applied(&object),
            adoption: AdoptionFact::None,
            conflict: Conflict::None,
            restart: false,
            rotation: Rotation::default(),
            contested: this_generation && ctx.repairs.are_too_many(&uid),
            definition_going: false,
        };
        let ctx = Arc::clone(ctx);
        let mut pass = Self {
            ctx,
            object,
            facts,
            secret: None,
            secret_unread: false,
            vendor: None,
            connection: None,
            key,
            may_adopt: false,
            proof: None,
            permit: None,
            name_guard: None,
            rotation_turn: None,
            restarted: false,
        };
        pass.facts.record = pass.record(status.client_id.as_deref(), status.binding_mac.as_deref());
        pass.facts.due = pass.is_due(&uid, status.last_handled_reconcile.as_deref());
        // Another generation may want another content.
        let version = status
            .secret_resource_version
            .as_deref()
            .filter(|_| this_generation);
        pass.observe_connection().await?;
        pass.observe_secret(version).await?;
        pass.observe_adoption().await?;
        pass.observe_rival();
        pass.observe_rotation().await?;
        // Also where nothing can be deactivated: such a deletion would wait.
        if pass.facts.deleting && pass.object.spec.deletion_policy == DeletionPolicy::Deactivate {
            pass.facts.definition_going = pass.definition_is_going().await?;
        }
        Ok(pass)
    }

    // An attempt of this process is judged by a fresh view only, and a view that was found stale is not used again: the
    // Secret's event may come before the one of the status write that recorded it.
    async fn view(object: &OAuthClient, ctx: &Context) -> Result<OAuthClient, Abort> {
        let uid = object.uid().unwrap_or_default();
        let version = object.resource_version().unwrap_or_default();
        let doubted = ctx.memory.take_doubt(&uid);
        let replaced = ctx.memory.replaced_since(&uid, &version);
        let ours =
            ctx.memory.concerns(&ObjectRef::from_obj(object)) || ctx.rotations.concerns(&uid);
        if !doubted && !ours {
            match replaced {
                None => return Ok(object.clone()),
                // The watch is about to bring what we wrote, and that costs nothing.
                Some(age) if age < WATCH_LAG => return Err(Abort::Requeue(SOON)),
                Some(_) => {}
            }
        }
        let namespace = object.namespace().unwrap_or_default();
        match ctx.objects(&namespace).get(&object.name_any()).await {
            Ok(fresh) if fresh.uid() == object.uid() => Ok(fresh),
            Ok(_) => Err(Abort::Requeue(SOON)),
            Err(error) if cluster::is_not_found(&error) => Err(Abort::ObjectGone),
            Err(error) => Err(Abort::Api(error)),
        }
    }

    pub fn bound(&self) -> Bound<'_> {
        Bound {
            connection: &self.object.spec.connection_ref,
            namespace: self
                .object
                .metadata
                .namespace
                .as_deref()
                .unwrap_or_default(),
            name: self.object.metadata.name.as_deref().unwrap_or_default(),
        }
    }

    fn record(&self, client: Option<&str>, mac: Option<&str>) -> RecordedClient {
        let Some(client) = client else {
            return if self.key.is_some() {
                RecordedClient::Empty
            } else {
                RecordedClient::KeyMissing
            };
        };
        let Some(key) = &self.key else {
            return RecordedClient::KeyMissing;
        };
        match (ClientId::parse(client), mac) {
            (Some(id), Some(mac)) if key.verifies(self.bound(), &id, mac) => {
                RecordedClient::Bound(id)
            }
            _ => RecordedClient::Unverified,
        }
    }

    // A Secret of the very version that status records needs no reading; any other is read by name, since the watch
    // sees only what carries our label.
    async fn observe_secret(&mut self, recorded: Option<&str>) -> Result<(), Abort> {
        let (namespace, name) = (
            self.object.namespace().unwrap_or_default(),
            self.object.secret_name().to_owned(),
        );
        if let Some(marks) = self.ctx.secret_in_store(&namespace, &name)
            && Some(marks.version()) == recorded
        {
            self.facts.secret = self.secret_facts(&marks, Content::Current);
            return Ok(());
        }
        // If there is none, a new object goes on with the dry run of the very write, which meets one that is there.
        if plan::next(&self.object.spec, &self.facts) == Some(Step::Preflight) {
            self.secret_unread = true;
            return Ok(());
        }
        self.read_secret().await?;
        let version = self.secret.as_ref().and_then(ResourceExt::resource_version);
        if let SecretFacts::Present { content, .. } = &mut self.facts.secret
            && recorded.is_some()
            && version.as_deref() == recorded
        {
            *content = Content::Current;
        }
        Ok(())
    }

    /// Reads the Secret, of which is not known then whether it holds what it should.
    pub async fn read_secret(&mut self) -> Result<(), Abort> {
        let secrets = self.ctx.secrets(&self.namespace());
        let found = secrets.get_opt(self.object.secret_name()).await;
        self.secret = found.map_err(Abort::Api)?;
        self.secret_unread = false;
        self.facts.secret = match &self.secret {
            Some(found) => {
                self.secret_facts(&SecretMetadata::of(&found.metadata), Content::Unknown)
            }
            None => SecretFacts::Absent,
        };
        Ok(())
    }

    pub fn secret_facts(&self, marks: &SecretMetadata, content: Content) -> SecretFacts {
        let binding = match &self.key {
            Some(key) => marks.binding(key, self.bound()),
            None => Binding::Invalid,
        };
        SecretFacts::Present {
            owner: marks.owner(&self.object),
            binding,
            content,
        }
    }
}
