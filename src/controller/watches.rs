//! Watches, their stores, and what is noted of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::broadcast;
use tracing::warn;

use crate::api::OAuthClient;
use crate::metrics::Metrics;
use crate::reconcile::connections::Key;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::seconds;

/// What `kubectl apply` leaves on every object: its whole manifest once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// A watch that fails is begun again at least this often, so errors further apart are separate troubles. Seconds.
const APART: u64 = 90;
/// Watches that have failed for this long without a pause leave the operator deaf. Seconds.
const DEAF_AFTER: u64 = 600;

/// How long watches have been failing. What goes well makes no sound: a quiet cluster is not a trouble.
#[derive(Default)]
pub(super) struct Troubles {
    first: AtomicU64,
    last: AtomicU64,
}

impl Troubles {
    fn note(&self) {
        let now = seconds();
        if now.saturating_sub(self.last.swap(now, Ordering::Relaxed)) > APART {
            self.first.store(now, Ordering::Relaxed);
        }
    }

    /// Whether what the operator knows of the cluster has grown old.
    pub(super) fn are_lasting(&self) -> bool {
        let (first, last) = (
            self.first.load(Ordering::Relaxed),
            self.last.load(Ordering::Relaxed),
        );
        seconds().saturating_sub(last) <= APART && last.saturating_sub(first) > DEAF_AFTER
    }
}

pub(super) struct Writers {
    pub clients: Writer<OAuthClient>,
    pub secrets: Writer<PartialObjectMeta<Secret>>,
}

pub(super) fn store_pair() -> (Stores, Writers) {
    let (clients, clients_writer) = reflector::store();
    let (secrets, secrets_writer) = reflector::store();
    (
        Stores { clients, secrets },
        Writers {
            clients: clients_writer,
            secrets: secrets_writer,
        },
    )
}

pub(super) fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

// What no decision rests on, and would be most of what is kept of an object. A list that is only cleared keeps its room.
pub(super) fn slim<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

// An error of a watch is counted and logged here: the watcher begins again by itself, each with its own backoff.
pub(super) fn heard_only<T>(
    stream: impl Stream<Item = Result<T, watcher::Error>> + Send + 'static,
    what: &'static str,
    metrics: Metrics,
    troubles: Arc<Troubles>,
) -> impl Stream<Item = Result<T, watcher::Error>> + Send + 'static
where
    T: Send + 'static,
{
    stream.filter_map(move |event| {
        let event = match event {
            Ok(event) => Some(Ok(event)),
            Err(error) => {
                metrics.watch_error();
                troubles.note();
                warn!(%error, what, "a watch failed; it is begun again");
                None
            }
        };
        futures::future::ready(event)
    })
}

// A store's own readiness wakes one waiter only, and the controller is that one already.
pub(super) fn first_list<K>(ctx: Arc<Context>) -> impl FnMut(&watcher::Event<K>) + Send {
    let mut told = false;
    move |event| {
        if matches!(event, watcher::Event::InitDone) && !std::mem::replace(&mut told, true) {
            ctx.lists.send_modify(|lists| *lists += 1);
        }
    }
}

/// What is told of connections, one after another. `None`: some of it was missed, so all of them may be meant.
pub(super) fn keys(told: broadcast::Receiver<Key>) -> impl Stream<Item = Option<Key>> + Send {
    futures::stream::unfold(told, |mut told| async move {
        match told.recv().await {
            Ok(key) => Some((Some(key), told)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((None, told)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
}
