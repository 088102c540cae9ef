//! Gathers the facts of one object.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use secrecy::SecretString;

use super::connections::{Entry, State};
use super::context::{Context, NameGuard};
use super::key::KeyState;
use super::{Halt, SOON};
use crate::api::{
    self, ClusterProvidentConnection, ConditionType, ConnectionKind, DeletionPolicy, FINALIZER,
    OAuthClient, RETRY_CREATE, Reason,
};
use crate::binding::{BindingKey, Bound};
use crate::cluster;
use crate::plan::{
    Adoption, Attempt, AttemptId, Binding, Connection, Content, Known, Record, Rival, Rotation,
    SecretSeen, Seen, Vendor,
};
use crate::provident;
use crate::provident::limiter::Permit;
use crate::provident::outcome::Doubt;
use crate::provident::types::{ClientId, VendorClient};
use crate::secret;

/// One pass over one object: the view it works on, the facts about it, and what it holds.
pub(crate) struct Pass {
    pub ctx: Arc<Context>,
    /// The view; every write of ours replaces it by what the API server answered.
    pub object: OAuthClient,
    pub seen: Seen,
    /// The Secret as it was read in this pass; `None` if absent, or known by its version.
    pub secret: Option<Secret>,
    /// The vendor's client, with its secret, as it was answered in this pass.
    pub vendor: Option<VendorClient>,
    pub connection: Option<Arc<provident::connection::Connection>>,
    pub key: Option<BindingKey>,
    /// Whether the connection lets this namespace take over clients.
    pub may_adopt: bool,
    /// The secret that must equal that of the client to adopt.
    pub proof: Option<SecretString>,
    /// From the preflight to the create or the rotation.
    pub permit: Option<Permit>,
    /// The Secret's name in a create, the client in an adoption.
    pub name_guard: Option<NameGuard>,
    /// The turn of a scheduled rotation.
    pub rotation_turn: Option<NameGuard>,
    /// Workloads were restarted in this pass.
    pub restarted: bool,
}

impl Pass {
    pub async fn observe(object: Arc<OAuthClient>, ctx: &Arc<Context>) -> Result<Self, Halt> {
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
            let known = match ctx.memory.known(&id, &uid, ctx.settings.attempt_wait) {
                // An earlier run told this; it stays told.
                Known::Over if ready.is_some_and(|c| c.reason == Reason::AnswerNotNew.as_str()) => {
                    Known::Unknown(Doubt::NotNew)
                }
                known => known,
            };
            Attempt {
                id,
                retry_of: attempt.retry_of.clone().map(AttemptId),
                known,
            }
        });
        let seen = Seen {
            deleting: object.metadata.deletion_timestamp.is_some(),
            finalizer: object.finalizers().iter().any(|f| f == FINALIZER),
            ready: this_generation && ready.is_some_and(|c| c.status == "True"),
            rejected: this_generation
                && ready.is_some_and(|c| c.reason == Reason::SpecRejected.as_str()),
            due: false,
            record: Record::Empty,
            attempt,
            retry: object
                .annotations()
                .get(RETRY_CREATE)
                .cloned()
                .map(AttemptId),
            secret: SecretSeen::Absent,
            connection: Connection::Usable,
            breaker_open: false,
            stopping: ctx.stopping.is_cancelled(),
            preflight: false,
            vendor: Vendor::NotAsked,
            not_applied: super::report::not_applied(&object),
            adoption: Adoption::None,
            rival: Rival::None,
            restart: false,
            rotation: Rotation::default(),
            contested: this_generation && ctx.repairs.are_too_many(&uid),
            definition_going: false,
        };
        let ctx = Arc::clone(ctx);
        let mut pass = Self {
            ctx,
            object,
            seen,
            secret: None,
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
        pass.seen.record = pass.record(status.client_id.as_deref(), status.binding_mac.as_deref());
        pass.seen.due = pass.is_due(&uid, status.last_handled_reconcile.as_deref());
        // Another generation may want another content.
        let version = status.secret_version.as_deref().filter(|_| this_generation);
        pass.observe_secret(version).await?;
        pass.observe_connection().await?;
        pass.observe_adoption().await?;
        pass.observe_rival();
        pass.observe_rotation().await?;
        // Also where nothing can be deactivated: such a deletion would wait.
        if pass.seen.deleting && pass.object.spec.deletion_policy == DeletionPolicy::Deactivate {
            pass.seen.definition_going = pass.definition_is_going().await?;
        }
        Ok(pass)
    }

    // An attempt of this process is judged by a fresh view only, and a view that was found stale is not used again: the
    // Secret's event may come before the one of the status write that recorded it.
    async fn view(object: &OAuthClient, ctx: &Context) -> Result<OAuthClient, Halt> {
        let uid = object.uid().unwrap_or_default();
        let version = object.metadata.resource_version.as_deref();
        let stale = ctx.memory.take_doubt(&uid) || ctx.memory.is_replaced(&uid, version);
        let ours =
            ctx.memory.concerns(&ObjectRef::from_obj(object)) || ctx.rotations.concerns(&uid);
        if !stale && !ours {
            return Ok(object.clone());
        }
        let namespace = object.namespace().unwrap_or_default();
        match ctx.objects(&namespace).get(&object.name_any()).await {
            Ok(fresh) if fresh.uid() == object.uid() => Ok(fresh),
            Ok(_) => Err(Halt::Again(SOON)),
            Err(error) if cluster::is_not_found(&error) => Err(Halt::Gone),
            Err(error) => Err(Halt::Cluster(error)),
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

    fn record(&self, client: Option<&str>, mac: Option<&str>) -> Record {
        let Some(client) = client else {
            return if self.key.is_some() {
                Record::Empty
            } else {
                Record::KeyMissing
            };
        };
        let Some(key) = &self.key else {
            return Record::KeyMissing;
        };
        match (ClientId::parse(client), mac) {
            (Some(id), Some(mac)) if key.verifies(self.bound(), &id, mac) => Record::Bound(id),
            _ => Record::Unproven,
        }
    }

    // A Secret of the very version that status records needs no reading; any other is read by name, since the watch
    // sees only what carries our label.
    async fn observe_secret(&mut self, recorded: Option<&str>) -> Result<(), Halt> {
        let (namespace, name) = (
            self.object.namespace().unwrap_or_default(),
            self.object.secret_name().to_owned(),
        );
        if let Some(stored) = self.ctx.secret_in_store(&namespace, &name)
            && recorded.is_some()
            && stored.metadata.resource_version.as_deref() == recorded
        {
            self.seen.secret = self.secret_seen(&stored.metadata, Content::Current);
            return Ok(());
        }
        self.secret = self
            .ctx
            .secrets(&namespace)
            .get_opt(&name)
            .await
            .map_err(Halt::Cluster)?;
        self.seen.secret = match &self.secret {
            None => SecretSeen::Absent,
            Some(secret) => {
                let known =
                    recorded.is_some() && secret.metadata.resource_version.as_deref() == recorded;
                let content = if known {
                    Content::Current
                } else {
                    Content::Unknown
                };
                self.secret_seen(&secret.metadata, content)
            }
        };
        Ok(())
    }

    pub fn secret_seen(
        &self,
        meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        content: Content,
    ) -> SecretSeen {
        let owner = secret::owner(meta, &self.object);
        let binding = match &self.key {
            Some(key) => secret::binding(meta, key, self.bound()),
            None => Binding::Invalid,
        };
        SecretSeen::Present {
            owner,
            binding,
            content,
        }
    }

    async fn observe_connection(&mut self) -> Result<(), Halt> {
        let reference = &self.object.spec.connection_ref;
        let Some(Entry { access, state, .. }) = self.ctx.connections.get(reference) else {
            self.ctx.connections.poke(reference);
            let all: Api<ClusterProvidentConnection> = Api::all(self.ctx.client.clone());
            let cluster_kind = reference.kind == ConnectionKind::ClusterProvidentConnection;
            let there = cluster_kind
                && all
                    .get_opt(&reference.name)
                    .await
                    .map_err(Halt::Cluster)?
                    .is_some();
            if there {
                // It is looked at for the first time just now.
                return Err(Halt::Again(SOON));
            }
            let message = format!(
                "spec.connectionRef: there is no {} {}. Create it, or correct the reference",
                reference.kind.as_str(),
                reference.name
            );
            self.seen.connection = Connection::Unusable(Reason::ConnectionNotFound, message);
            return Ok(());
        };
        let connection = match state {
            State::Usable(connection) => connection,
            State::Unusable(reason, message) => {
                self.seen.connection = Connection::Unusable(reason, message);
                return Ok(());
            }
        };
        self.seen.breaker_open = connection.is_breaker_open();
        self.connection = Some(connection);
        let namespace = self.object.namespace().unwrap_or_default();
        let labels = if api::needs_labels(&access) {
            let namespaces: Api<Namespace> = Api::all(self.ctx.client.clone());
            namespaces
                .get(&namespace)
                .await
                .map_err(Halt::Cluster)?
                .labels()
                .clone()
        } else {
            std::collections::BTreeMap::new()
        };
        self.may_adopt = api::allows_adoption(&access, &namespace, &labels);
        if let Err(denied) = api::allows(
            &access,
            &namespace,
            &labels,
            &self.object.spec.allowed_scopes,
        ) {
            self.seen.connection = Connection::Denied(format!("spec.connectionRef: {denied}"));
        }
        Ok(())
    }
}
