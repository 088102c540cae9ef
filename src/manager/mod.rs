//! Watches, triggers and the life of the process: from the first list to the last stored answer.
//!
//! A process that waits for the lease watches as any other, so that it is ready to work; nothing else is done before.

pub mod binding_key;
mod connections;
mod crds;
mod instrument;
mod invalid_objects;
mod oauth_clients;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::runtime::events::Reporter;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use self::binding_key as key;
use crate::admin::{Readiness, Stage};
use crate::cluster;
use crate::config::Config;
use crate::context::Context;
use crate::leader::{Election, Lost};
use crate::metrics::Metrics;
use crate::oauth_client;
use crate::state::State;
use crate::state::binding_key::KeyState;
use crate::state::leadership::Leadership;
use provident_core::api::{ClusterProvidentConnection, MANAGER, ProvidentConnection};

/// The binding key is looked for again after this, while it is not at hand.
const KEY_RETRY: Duration = Duration::from_secs(5);
/// Whether it is still there is checked this often: a read by name needs no right to watch Secrets.
const KEY_CHECK: Duration = Duration::from_secs(30);

/// Runs the operator until `stop` is cancelled; then finishes what is in flight, stores what was answered, gives the lease
/// back, and returns.
///
/// # Errors
/// The lease was lost. The process ends the same way then, but waits for what is not stored without a bound, until it is
/// stopped.
pub async fn run(
    client: Client,
    config: Config,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), Lost> {
    let pod = std::env::var("POD_NAME").ok();
    let stopping = stop.child_token();
    let (leadership, election) = elect(&client, &config, pod.as_deref(), &metrics, &stopping);
    let (key_sender, key) = watch::channel(KeyState::Unknown);
    let namespaces: Vec<Option<String>> = match config.watch_namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let (stores, writers): (Vec<_>, Vec<_>) =
        namespaces.iter().map(|_| watches::store_pair()).unzip();
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: pod,
    };
    let ctx = Arc::new(Context {
        reporter,
        client,
        config,
        metrics,
        state: State::default(),
        stores,
        key,
        lists: watch::Sender::new(0),
        crds_ready: watch::Sender::new(None),
        leadership,
        stopping,
        tasks: TaskTracker::new(),
        crd_unreadable: std::sync::Once::new(),
        namespaces_unreadable: std::sync::Once::new(),
    });
    let background = CancellationToken::new();
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(find_key(Arc::clone(&ctx), key_sender)),
    );
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(crds::watch_crds(Arc::clone(&ctx))),
    );
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(watch_health(Arc::clone(&ctx), readiness)),
    );

    let mut controllers = tokio::task::JoinSet::new();
    for namespace in &namespaces {
        controllers.spawn(connections::connections::<ProvidentConnection>(
            Arc::clone(&ctx),
            namespace.clone(),
            namespace.clone(),
        ));
    }
    let stores = ctx.stores.clone().into_iter().zip(writers);
    for (namespace, (stores, writer)) in namespaces.into_iter().zip(stores) {
        controllers.spawn(oauth_clients::oauth_clients(
            Arc::clone(&ctx),
            namespace,
            stores,
            writer,
        ));
    }
    if ctx.config.cluster_connections {
        controllers.spawn(connections::connections::<ClusterProvidentConnection>(
            Arc::clone(&ctx),
            None,
            Some(ctx.config.namespace.clone()),
        ));
    }
    // Each returns once `stop` is cancelled and its running reconciles have ended.
    while let Some(ended) = controllers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "Controller ended unexpectedly; shutting down");
            stop.cancel();
        }
    }
    info!("Persisting pending results before exit");
    drain(&ctx, stop).await;
    background.cancel();
    match election {
        None => Ok(()),
        // Only now: no other replica may begin while an answer is still being stored.
        Some(election) => election.leave().await,
    }
}

/// The election, which runs beside the controllers.
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<Result<(), Lost>>,
}

impl Running {
    async fn leave(self) -> Result<(), Lost> {
        self.stop.cancel();
        self.ended.await.unwrap_or_else(|error| {
            tracing::error!(%error, "Leader election ended unexpectedly");
            Ok(())
        })
    }
}

// However the election ends, this process no longer leads, so `stopping` is cancelled.
fn elect(
    client: &Client,
    config: &Config,
    pod: Option<&str>,
    metrics: &Metrics,
    stopping: &CancellationToken,
) -> (Leadership, Option<Running>) {
    let Some(name) = &config.lease else {
        metrics.leads(true);
        return (Leadership::unopposed(), None);
    };
    let (election, leadership) = Election::new(
        client.clone(),
        &config.namespace,
        name,
        pod.unwrap_or(MANAGER),
        metrics.clone(),
    );
    let (stop, lost) = (CancellationToken::new(), stopping.clone().drop_guard());
    let leave = stop.clone();
    let ended = tokio::spawn(async move {
        let ended = election.run(leave).await;
        drop(lost);
        ended
    });
    (leadership, Some(Running { stop, ended }))
}

// The grace counts from the end of the last pass, or from SIGTERM if that comes later. A lost lease sets no bound.
async fn drain(ctx: &Arc<Context>, stop: CancellationToken) {
    let (give_up, grace) = (CancellationToken::new(), ctx.config.shutdown_grace_period);
    let bound = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
        give_up.cancel();
    };
    let drained = oauth_client::drain(ctx, &give_up, grace);
    tokio::pin!(drained);
    tokio::select! {
        () = &mut drained => {}
        () = bound => drained.await,
    }
}

async fn find_key(ctx: Arc<Context>, found: watch::Sender<KeyState>) {
    ctx.wait_until_listed().await;
    // It may be made here, and a standby makes nothing.
    ctx.leadership.held().await;
    let (namespace, name) = (&ctx.config.namespace, &ctx.config.binding_key_secret);
    let bytes = loop {
        let bound = || key::bound_objects(&ctx);
        match key::load(&ctx.client, namespace, name, bound).await {
            Ok(key::Found::Key(key, bytes)) => {
                ctx.metrics.binding_key.set_missing(false);
                found.send_replace(KeyState::Loaded(key));
                break bytes;
            }
            Ok(key::Found::Missing(bound)) => {
                ctx.metrics.binding_key.set_missing(true);
                // The same words for as long as it lasts, so that no status is written again.
                if !matches!(*found.borrow(), KeyState::Missing(_)) {
                    let message = key::missing_message(namespace, name, &bound);
                    error!("{message}");
                    found.send_replace(KeyState::Missing(message.into()));
                }
            }
            Err(error) => warn!(%error, "Failed to load the binding key, will retry"),
        }
        tokio::time::sleep(KEY_RETRY).await;
    };
    loop {
        tokio::time::sleep(KEY_CHECK).await;
        match key::check(&ctx.client, namespace, name, &bytes).await {
            Ok(check) => report_key(&ctx, check),
            // Nothing is known; watches report an API server that does not answer.
            Err(error) => debug!(
                error = cluster::describe(&error),
                "Failed to check the binding key"
            ),
        }
    }
}

fn report_key(ctx: &Context, check: key::Check) {
    let (namespace, name) = (&ctx.config.namespace, &ctx.config.binding_key_secret);
    let until = "Until then no client is created and no secret is rotated";
    let loss = match check {
        key::Check::Present | key::Check::Restored => None,
        key::Check::Refused(status) => Some(format!(
            "Secret {name} with the binding key was deleted in namespace {namespace}, and the API server does not let the operator \
             write it back ({status}). Restore it from the backup. {until}"
        )),
        key::Check::Replaced => Some(format!(
            "Secret {name} in namespace {namespace} no longer holds the binding key that the operator uses. Restore the key from the \
             backup, or restart the operator to use the new one, which does not recognise the present clients. {until}"
        )),
    };
    ctx.metrics.binding_key.set_missing(loss.is_some());
    if check == key::Check::Restored {
        ctx.metrics.binding_key.restored();
        let note = format!(
            "Secret {name} with the binding key was deleted in namespace {namespace}; the operator wrote it back from memory"
        );
        error!("{note}. Find out who deleted it");
        let connections = ctx.state.connections.keys();
        ctx.state.key_loss.notify(&connections, &note.into());
        for connection in &connections {
            ctx.state.connections.trigger(connection);
        }
    }
    let message = loss.clone();
    if ctx.state.key_loss.set(loss.map(Into::into)) {
        if let Some(message) = message {
            error!("{message}");
        } else {
            info!("Binding key is present again");
        }
        for connection in ctx.state.connections.keys() {
            ctx.state.connections.trigger(&connection);
        }
    }
}

async fn watch_health(ctx: Arc<Context>, readiness: Readiness) {
    let (mut key, mut crds, mut lists) = (
        ctx.key.clone(),
        ctx.crds_ready.subscribe(),
        ctx.lists.subscribe(),
    );
    let watch_stall_timeout = ctx.config.watch_stall_timeout();
    loop {
        readiness.set(if ctx.stopping.is_cancelled() {
            Stage::Stopping
        } else if *ctx.crds_ready.borrow() == Some(false) {
            Stage::CrdsOutdated
        } else if ctx.metrics.watches.silent_for() > watch_stall_timeout {
            Stage::WatchesStalled
        } else if !ctx.is_listed() || (ctx.leadership.is_held() && !ctx.is_key_known()) {
            Stage::Starting
        } else {
            Stage::Ready
        });
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
            Ok(()) = key.changed() => {}
            Ok(()) = crds.changed() => {}
            Ok(()) = lists.changed() => {}
            () = ctx.stopping.cancelled(), if !ctx.stopping.is_cancelled() => {}
        }
    }
}
