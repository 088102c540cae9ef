//! Watches, triggers and the life of the process: from the first list to the last stored answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::events::Reporter;
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{
    Predicate, PredicateConfig, WatchStreamExt, predicates, reflector::store::Writer, watcher,
};
use kube::{Api, Client, ResourceExt};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::admin::{Readiness, Stage};
use crate::api::{
    BINDING_ANNOTATION, ClusterProvidentConnection, ConnectionRef, MANAGER, OAuthClient,
};
use crate::metrics::Metrics;
use crate::reconcile::connections::Connections;
use crate::reconcile::context::{Context, Names, Settings, Stores};
use crate::reconcile::key::{self, KeyState};
use crate::reconcile::{self, Backoff, Memory, Recorded};

/// A watch that has said nothing for this long, not even an error, does not count as working.
const DEAF_AFTER: u64 = 600;
/// The binding key is looked for again after this, while it is not at hand.
const KEY_RETRY: Duration = Duration::from_secs(5);

/// Runs the operator until `stop` is cancelled; then finishes what is in flight, stores what was answered, and returns.
pub async fn run(
    client: Client,
    settings: Settings,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) {
    let (connections, poked) = Connections::new();
    let recorded = Arc::new(Recorded::default());
    let (key_sender, key) = watch::channel(KeyState::Unknown);
    let namespaces: Vec<Option<String>> = match settings.watch_namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let (stores, writers): (Vec<_>, Vec<_>) = namespaces.iter().map(|_| store_pair()).unzip();
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: std::env::var("POD_NAME").ok(),
    };
    let ctx = Arc::new(Context {
        reporter,
        client,
        settings,
        connections,
        memory: Memory::default(),
        recorded,
        backoff: Backoff::default(),
        metrics,
        key,
        verified: std::sync::Mutex::default(),
        began: u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default(),
        lists: watch::Sender::new(0),
        names: Arc::new(Names::default()),
        stopping: stop.clone(),
        tasks: TaskTracker::new(),
        stores,
    });
    let heard = Arc::new(AtomicU64::new(ctx.began));
    let background = CancellationToken::new();
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(find_key(Arc::clone(&ctx), key_sender)),
    );
    tokio::spawn(background.clone().run_until_cancelled_owned(watch_health(
        Arc::clone(&ctx),
        readiness,
        Arc::clone(&heard),
    )));

    let mut controllers = tokio::task::JoinSet::new();
    for (namespace, writers) in namespaces.into_iter().zip(writers) {
        controllers.spawn(clients(
            Arc::clone(&ctx),
            namespace,
            writers,
            Arc::clone(&heard),
        ));
    }
    controllers.spawn(cluster_connections(
        Arc::clone(&ctx),
        poked,
        Arc::clone(&heard),
    ));
    // Each returns when it is told to stop and its running passes have ended.
    while let Some(ended) = controllers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a controller died: stopping");
            stop.cancel();
        }
    }
    info!("storing what was answered, then leaving");
    reconcile::drain(&ctx, Instant::now() + ctx.settings.grace).await;
    background.cancel();
}

struct Writers {
    clients: Writer<OAuthClient>,
    secrets: Writer<PartialObjectMeta<Secret>>,
}

fn store_pair() -> (Stores, Writers) {
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

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

// An error of a watch is counted and logged here: the watcher begins again by itself, each with its own backoff.
fn heard_only<T>(
    stream: impl Stream<Item = Result<T, watcher::Error>> + Send + 'static,
    what: &'static str,
    metrics: Metrics,
    heard: Arc<AtomicU64>,
) -> impl Stream<Item = Result<T, watcher::Error>> + Send + 'static
where
    T: Send + 'static,
{
    stream.filter_map(move |event| {
        let event = match event {
            Ok(event) => {
                let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
                heard.store(now, Ordering::Relaxed);
                Some(Ok(event))
            }
            Err(error) => {
                metrics.watch_error();
                warn!(%error, what, "a watch failed; it is begun again");
                None
            }
        };
        futures::future::ready(event)
    })
}

async fn clients(
    ctx: Arc<Context>,
    namespace: Option<String>,
    writers: Writers,
    heard: Arc<AtomicU64>,
) {
    let namespace = namespace.as_deref();
    let objects: Api<OAuthClient> = api(&ctx.client, namespace);
    let secrets: Api<PartialObjectMeta<Secret>> = api(&ctx.client, namespace);
    let recorded = Arc::clone(&ctx.recorded);
    let store = writers.clients.as_reader();
    let main = watcher(objects, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .inspect_ok(move |event| recorded.observe(event))
        .reflect(writers.clients)
        .inspect_ok(first_list(Arc::clone(&ctx)))
        .touched_objects();
    // Finalizers too: a replace erases them. Status not: every write of it is our own.
    let asked = predicates::generation
        .combine(predicates::finalizers)
        .combine(predicates::annotations);
    let main = heard_only(main, "OAuthClient", ctx.metrics.clone(), Arc::clone(&heard))
        .predicate_filter(asked, PredicateConfig::default());
    let owned = watcher(
        secrets,
        watcher::Config::default().labels(&key::managed_selector()),
    )
    .default_backoff()
    .modify(|secret| secret.managed_fields_mut().clear())
    .reflect(writers.secrets)
    .inspect_ok(first_list(Arc::clone(&ctx)))
    .touched_objects();
    let owned = heard_only(owned, "Secret", ctx.metrics.clone(), heard)
        .predicate_filter(predicates::resource_version, PredicateConfig::default());
    let stopping = ctx.stopping.clone();
    let changes = ticks(ctx.connections.changes());
    Controller::for_stream(main, store)
        .owns_stream(owned)
        .with_config(Config::default().concurrency(ctx.settings.concurrency))
        .reconcile_all_on(changes)
        .graceful_shutdown_on(async move { stopping.cancelled().await })
        .run(reconcile::reconcile, error_policy, Arc::clone(&ctx))
        .for_each(|result| ended(Arc::clone(&ctx), result))
        .await;
}

async fn ended(
    ctx: Arc<Context>,
    result: Result<
        (ObjectRef<OAuthClient>, Action),
        controller::Error<reconcile::Error, watcher::Error>,
    >,
) {
    match result {
        Ok(_) => {}
        // Normal after a deletion; what was answered for the object must not go with it.
        Err(controller::Error::ObjectNotFound(object)) => {
            let reference =
                ObjectRef::new(&object.name).within(&object.namespace.unwrap_or_default());
            if let Err(error) = reconcile::gone(&ctx, &reference).await {
                warn!(%error, "an answer of an object that is gone waits");
            }
        }
        Err(error) => warn!(%error, "reconcile"),
    }
}

// What the user must know stands in status by now; this is for what could not be written there.
#[allow(clippy::needless_pass_by_value, reason = "the controller's signature")]
fn error_policy<K: kube::ResourceExt<DynamicType = ()>>(
    object: Arc<K>,
    error: &reconcile::Error,
    ctx: Arc<Context>,
) -> Action {
    let delay = ctx
        .backoff
        .failed(&object.uid().unwrap_or_default(), 0, Duration::ZERO);
    debug!(%error, ?delay, name = object.name_any(), "comes back");
    Action::requeue(delay)
}

// A store's own readiness wakes one waiter only, and the controller is that one already.
fn first_list<K>(ctx: Arc<Context>) -> impl FnMut(&watcher::Event<K>) + Send {
    let mut told = false;
    move |event| {
        if matches!(event, watcher::Event::InitDone) && !std::mem::replace(&mut told, true) {
            ctx.lists.send_modify(|lists| *lists += 1);
        }
    }
}

fn ticks(changes: watch::Receiver<u64>) -> impl Stream<Item = ()> + Send {
    futures::stream::unfold(changes, |mut changes| async move {
        changes.changed().await.ok()?;
        Some(((), changes))
    })
}

async fn cluster_connections(
    ctx: Arc<Context>,
    poked: mpsc::UnboundedReceiver<ConnectionRef>,
    heard: Arc<AtomicU64>,
) {
    let (store, writer) = reflector::store::<ClusterProvidentConnection>();
    let (all, token_secrets): (
        Api<ClusterProvidentConnection>,
        Api<PartialObjectMeta<Secret>>,
    ) = (
        Api::all(ctx.client.clone()),
        Api::namespaced(ctx.client.clone(), &ctx.settings.namespace),
    );
    let deleted_from = Arc::clone(&ctx);
    let main = watcher(all, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        // A deleted connection is gone at once, for those behind it too.
        .inspect_ok(move |event| {
            if let watcher::Event::Delete(object) = event {
                let reference = reconcile::connection::reference(&object.name_any());
                deleted_from.connections.set(&reference, None, true);
            }
        })
        .reflect(writer)
        .touched_objects();
    let main = heard_only(
        main,
        "ClusterProvidentConnection",
        ctx.metrics.clone(),
        Arc::clone(&heard),
    )
    .predicate_filter(predicates::generation, PredicateConfig::default());
    let tokens = watcher(token_secrets, watcher::Config::default())
        .default_backoff()
        .touched_objects();
    let tokens = heard_only(tokens, "token Secret", ctx.metrics.clone(), heard)
        .predicate_filter(predicates::resource_version, PredicateConfig::default());
    let named = store.clone();
    let users = move |secret: PartialObjectMeta<Secret>| {
        let name = secret.name_any();
        let uses = |connection: &Arc<ClusterProvidentConnection>| {
            connection.spec.auth.token_secret_ref.name == name
        };
        named
            .state()
            .iter()
            .filter(|c| uses(c))
            .map(|c| ObjectRef::from_obj(c.as_ref()))
            .collect::<Vec<_>>()
    };
    let to_look_at = futures::stream::unfold(poked, |mut poked| async move {
        let reference = poked.recv().await?;
        Some((ObjectRef::new(&reference.name), poked))
    });
    let stopping = ctx.stopping.clone();
    Controller::for_stream(main, store)
        .watches_stream(tokens, users)
        .reconcile_on(to_look_at)
        .graceful_shutdown_on(async move { stopping.cancelled().await })
        .run(
            reconcile::connection::reconcile,
            error_policy,
            Arc::clone(&ctx),
        )
        .for_each(|result| async move {
            match result {
                Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
                Err(error) => warn!(%error, "connection"),
            }
        })
        .await;
}

async fn find_key(ctx: Arc<Context>, found: watch::Sender<KeyState>) {
    ctx.listed().await;
    loop {
        let bound = ctx.stores.iter().any(|stores| {
            let in_status = |object: &OAuthClient| {
                object
                    .status
                    .as_ref()
                    .is_some_and(|s| s.binding_mac.is_some())
            };
            let on_secret = |secret: &PartialObjectMeta<Secret>| {
                secret.annotations().contains_key(BINDING_ANNOTATION)
            };
            stores.clients.find(in_status).is_some() || stores.secrets.find(on_secret).is_some()
        });
        match key::load(
            &ctx.client,
            &ctx.settings.namespace,
            &ctx.settings.binding_key_secret,
            !bound,
        )
        .await
        {
            Ok(state) => {
                let loaded = matches!(state, KeyState::Loaded(_));
                found.send_replace(state);
                if loaded {
                    return found.closed().await;
                }
            }
            Err(error) => warn!(%error, "the binding key is not at hand"),
        }
        tokio::time::sleep(KEY_RETRY).await;
    }
}

async fn watch_health(ctx: Arc<Context>, readiness: Readiness, heard: Arc<AtomicU64>) {
    ctx.ready().await;
    loop {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
        let deaf = now.saturating_sub(heard.load(Ordering::Relaxed)) > DEAF_AFTER;
        readiness.set(if ctx.stopping.is_cancelled() {
            Stage::Stopping
        } else if deaf {
            Stage::Deaf
        } else {
            Stage::Ready
        });
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            () = ctx.stopping.cancelled(), if !ctx.stopping.is_cancelled() => {}
        }
    }
}
