//! What all passes of one process share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::controller::Action;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::clock::seconds;
use crate::cluster::LenientObject;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::state::backoff::Backoff;
use crate::state::binding_key::KeyState;
use crate::state::client_index::{Recorded, recorded_client};
use crate::state::connection_registry::{ConnectionKey, ConnectionRegistry};
use crate::state::create_attempts::Memory;
use crate::state::keyed_locks::KeyedLocks;
use crate::state::leadership::Leadership;
use crate::state::repairs::Repairs;
use crate::state::rotation_memory::Rotations;
use crate::state::secret_cache::Secrets;
use provident_core::api::OAuthClient;
use provident_core::secret::SecretMetadata;

/// The watched objects of one namespace, or of all.
#[derive(Clone)]
pub struct Stores {
    /// `OAuthClient` objects.
    pub clients: Store<OAuthClient>,
    /// Generated Secrets; none of them if Secrets are not watched.
    pub secrets: Arc<Secrets>,
}

/// Shared by all passes.
pub struct Context {
    /// Talks to the API server; see [`crate::cluster`].
    pub client: kube::Client,
    /// Who publishes our events.
    pub reporter: Reporter,
    /// What the operator was told.
    pub config: Config,
    /// Connections by name.
    pub connections: ConnectionRegistry,
    /// What this process knows of attempts.
    pub memory: Memory,
    /// What it knows of rotations.
    pub rotations: Rotations,
    /// Which object records which client.
    pub recorded: Arc<Recorded>,
    /// Waits of objects that failed.
    pub backoff: Backoff,
    /// How often Secrets were put right lately.
    pub repairs: Repairs,
    /// Said once: whether the definition of `OAuthClient` is being deleted cannot be told here.
    pub blind_to_definition: std::sync::Once,
    /// Figures.
    pub metrics: Metrics,
    /// The binding key, or its absence.
    pub key: tokio::sync::watch::Receiver<KeyState>,
    /// First lists that are in the stores: per watched namespace one of clients, and one of Secrets if they are watched.
    pub lists: tokio::sync::watch::Sender<usize>,
    /// Whether the definitions of the kinds have all fields that are used, as far as may be known.
    pub defined: tokio::sync::watch::Sender<bool>,
    /// When each client was last verified: uid to period number.
    pub verified: Mutex<std::collections::HashMap<String, u64>>,
    /// Seconds since the epoch at which this process began to work: at its first pass, before which it may have stood by
    /// for days.
    pub began: OnceLock<u64>,
    /// What only one pass may be at: a Secret's name in a create, a client in an adoption, a scheduled rotation over one
    /// connection.
    pub names: Arc<KeyedLocks>,
    /// Whether the process may begin work.
    pub leadership: Leadership,
    /// Set when the process is told to stop, or has lost its lease: what runs is finished, nothing is begun.
    pub stopping: CancellationToken,
    /// Work that must end before the process may leave.
    pub tasks: TaskTracker,
    /// The watched objects.
    pub stores: Vec<Stores>,
}

impl Context {
    /// Waits until the first lists are in the stores, of objects with all the fields that are used.
    pub(crate) async fn listed(&self) {
        let all = self.all_lists();
        // An error would mean that the sender is gone, and it is ours.
        let _ = self.lists.subscribe().wait_for(|lists| *lists >= all).await;
        let _ = self.defined.subscribe().wait_for(|whole| *whole).await;
    }

    // Per watched namespace its clients, and its Secrets if they are watched.
    fn all_lists(&self) -> usize {
        self.stores.len() * (1 + usize::from(self.config.watch_secrets))
    }

    /// Whether the key was looked for.
    pub(crate) fn is_key_known(&self) -> bool {
        !matches!(*self.key.borrow(), KeyState::Unknown)
    }

    /// What keeps a pass from beginning, as the controller is told it; `None`: it may begin. It needs the lease, and the
    /// first lists and the key, without which no object can be judged. Where that had to be waited for, which a standby
    /// does for days, the view at hand is old: the controller is to come back at once with another one.
    pub(crate) async fn held_back(&self) -> Option<Action> {
        let listed = *self.lists.borrow() >= self.all_lists() && *self.defined.borrow();
        if listed
            && self.is_key_known()
            && self.leadership.is_held()
            && !self.stopping.is_cancelled()
        {
            return None;
        }
        let mut key = self.key.clone();
        let known = async {
            self.listed().await;
            self.leadership.held().await;
            key.wait_for(|key| !matches!(key, KeyState::Unknown))
                .await
                .is_ok()
        };
        let again = self.stopping.run_until_cancelled(known).await;
        Some(match again {
            Some(true) => Action::requeue(Duration::ZERO),
            Some(false) | None => Action::await_change(),
        })
    }

    /// See [`Self::began`].
    pub(crate) fn began(&self) -> u64 {
        *self.began.get_or_init(seconds)
    }

    /// Drops what is kept per object for one that is gone. Not its attempts: one may still be answered.
    pub(crate) fn forget(&self, object: &LenientObject<OAuthClient>) {
        let uid = object.uid().unwrap_or_default();
        let client = recorded_client(object);
        // A standby does not know what the leader let go.
        if !self.memory.gone(&uid)
            && self.leadership.is_held()
            && let Some(client_id) = client
        {
            self.metrics.outcomes.orphaned();
            warn!(
                namespace = object.namespace(),
                name = object.name_any(),
                client_id,
                "went without its finalizer: its client is left at the vendor as it is"
            );
        }
        self.backoff.clear(&uid);
        self.metrics.clients.forget(&uid);
        self.rotations.forget(&uid);
        // The object itself may be in the store still.
        self.connections.forget_unused(|connection| {
            self.stores.iter().any(|stores| {
                let other = |client: &OAuthClient| {
                    connection.is_of(client) && client.metadata.uid.as_deref() != Some(&uid)
                };
                stores.clients.find(other).is_some()
            })
        });
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&uid);
    }

    /// Takes in that a connection was deleted.
    pub(crate) fn removed(&self, connection: &ConnectionKey) {
        self.metrics.connections.forget(
            connection.kind.as_str(),
            &connection.namespace,
            &connection.name,
        );
        self.connections
            .remove(connection, |connection| self.is_used(connection));
    }

    /// Whether some client names the connection.
    pub(crate) fn is_used(&self, connection: &ConnectionKey) -> bool {
        self.stores.iter().any(|stores| {
            stores
                .clients
                .find(|client| connection.is_of(client))
                .is_some()
        })
    }

    pub(crate) fn objects(&self, namespace: &str) -> Api<OAuthClient> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The objects of every watched namespace.
    pub(crate) fn watched(&self) -> Vec<Api<OAuthClient>> {
        let namespaces = &self.config.watch_namespaces;
        if namespaces.is_empty() {
            return vec![Api::all(self.client.clone())];
        }
        namespaces
            .iter()
            .map(|namespace| self.objects(namespace))
            .collect()
    }

    pub(crate) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// An object by its uid. It looks at every one, so it is for what is rare.
    pub(crate) fn object_of(&self, uid: &str) -> Option<Arc<OAuthClient>> {
        self.stores.iter().find_map(|stores| {
            stores
                .clients
                .find(|object| object.metadata.uid.as_deref() == Some(uid))
        })
    }

    pub(crate) fn secret_in_store(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<SecretMetadata>> {
        self.stores
            .iter()
            .find_map(|stores| stores.secrets.get(namespace, name))
    }
}
