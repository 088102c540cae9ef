//! What all reconciles of one process share.

use std::sync::{Arc, Once};

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::events::Reporter;
use kube::runtime::reflector::Store;
use kube::{Api, ResourceExt};
use provident_core::api::OAuthClient;
use provident_core::secret::SecretMetadata;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::cluster::LenientObject;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::state::State;
use crate::state::binding_key::KeyState;
use crate::state::client_index::recorded_client;
use crate::state::connection_key::ConnectionKey;
use crate::state::leadership::Leadership;
use crate::state::secret_cache::Secrets;

/// The watched objects of one namespace, or of all.
#[derive(Clone)]
pub struct Stores {
    /// `OAuthClient` objects.
    pub clients: Store<OAuthClient>,
    /// Generated Secrets; empty if Secrets are not watched.
    pub secrets: Arc<Secrets>,
}

/// Shared by all reconciles.
pub struct Context {
    /// Client of the API server; see [`crate::cluster`].
    pub client: kube::Client,
    /// Source of our events.
    pub reporter: Reporter,
    /// Configuration, fixed at start.
    pub config: Config,
    /// Metrics.
    pub metrics: Metrics,
    /// What this process remembers.
    pub state: State,
    /// The watched objects.
    pub stores: Vec<Stores>,
    /// The binding key, or its absence.
    pub key: watch::Receiver<KeyState>,
    /// Number of first lists that are in the stores: per watched namespace one of clients, and one of Secrets if they are
    /// watched.
    pub lists: watch::Sender<usize>,
    /// Whether the CRDs have all fields that this version uses, as far as can be known; `None` until they have been read.
    pub crds_ready: watch::Sender<Option<bool>>,
    /// Whether this process may start work.
    pub leadership: Leadership,
    /// Cancelled on shutdown, or when the lease is lost: running work is finished, and nothing is started.
    pub stopping: CancellationToken,
    /// Work that must end before the process may exit.
    pub tasks: TaskTracker,
    /// Makes the warning about unreadable CRDs appear once.
    pub crd_unreadable: Once,
    /// The same for namespaces.
    pub namespaces_unreadable: Once,
}

impl Context {
    /// Waits until the first lists are in the stores, of objects with all the fields that this version uses.
    pub(crate) async fn wait_until_listed(&self) {
        let all = self.expected_lists();
        // An error would mean that the sender is gone, and it is ours.
        let _ = self.lists.subscribe().wait_for(|lists| *lists >= all).await;
        let _ = self
            .crds_ready
            .subscribe()
            .wait_for(|ready| *ready == Some(true))
            .await;
    }

    /// Whether [`Self::wait_until_listed`] would return at once.
    pub(crate) fn is_listed(&self) -> bool {
        *self.lists.borrow() >= self.expected_lists() && *self.crds_ready.borrow() == Some(true)
    }

    fn expected_lists(&self) -> usize {
        self.stores.len() * (1 + usize::from(self.config.watch_secrets))
    }

    /// Whether the operator has looked for the binding key.
    pub(crate) fn is_key_known(&self) -> bool {
        !matches!(*self.key.borrow(), KeyState::Unknown)
    }

    /// Drops what is kept of an object that is gone. A client that the object leaves behind without our finalizer is counted.
    pub(crate) fn forget(&self, object: &LenientObject<OAuthClient>) {
        let uid = object.uid().unwrap_or_default();
        // A standby does not know what the leader released.
        if !self.state.views.is_released(&uid)
            && self.leadership.is_held()
            && let Some(client_id) = recorded_client(object)
        {
            self.metrics.outcomes.orphaned();
            warn!(
                namespace = object.namespace(),
                name = object.name_any(),
                client_id,
                "Object was removed without our finalizer; its client is orphaned at the vendor"
            );
        }
        self.state.forget(&uid);
        self.metrics.clients.forget(&uid);
        // The object itself may be in the store still.
        self.state.connections.forget_unused(|connection| {
            self.stores.iter().any(|stores| {
                let other = |client: &OAuthClient| {
                    connection.is_of(client) && client.metadata.uid.as_deref() != Some(&uid)
                };
                stores.clients.find(other).is_some()
            })
        });
    }

    /// Takes in that a connection was deleted.
    pub(crate) fn removed(&self, connection: &ConnectionKey) {
        self.metrics.connections.forget(
            connection.kind.as_str(),
            &connection.namespace,
            &connection.name,
        );
        self.state
            .connections
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
    pub(crate) fn watched(&self) -> Vec<Api<LenientObject<OAuthClient>>> {
        let namespaces = &self.config.watch_namespaces;
        if namespaces.is_empty() {
            return vec![Api::all(self.client.clone())];
        }
        namespaces
            .iter()
            .map(|namespace| Api::namespaced(self.client.clone(), namespace))
            .collect()
    }

    pub(crate) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The uids of the objects of a namespace that the watch shows.
    pub(crate) fn object_uids(&self, namespace: &str) -> Vec<String> {
        let objects = self.stores.iter().flat_map(|stores| stores.clients.state());
        objects
            .filter(|object| object.metadata.namespace.as_deref() == Some(namespace))
            .filter_map(|object| object.uid())
            .collect()
    }

    /// An object by its uid. It scans all objects, so it is for rare cases.
    pub(crate) fn object_by_uid(&self, uid: &str) -> Option<Arc<OAuthClient>> {
        self.stores.iter().find_map(|stores| {
            stores
                .clients
                .find(|object| object.metadata.uid.as_deref() == Some(uid))
        })
    }

    pub(crate) fn cached_secret(&self, namespace: &str, name: &str) -> Option<Arc<SecretMetadata>> {
        self.stores
            .iter()
            .find_map(|stores| stores.secrets.get(namespace, name))
    }
}
