//! Watches, triggers and the life of the process: from the first list to the last stored answer.

mod clients;
mod connections;
mod definitions;
mod watches;

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::events::Reporter;
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use self::watches::Troubles;
use crate::admin::{Readiness, Stage};
use crate::api::{
    BINDING_ANNOTATION, ClusterProvidentConnection, MANAGER, OAuthClient, ProvidentConnection,
};
use crate::metrics::Metrics;
use crate::reconcile::connections::Connections;
use crate::reconcile::context::{Context, Names, Settings};
use crate::reconcile::key::{self, KeyState};
use crate::reconcile::{self, Backoff, Memory, Recorded, Repairs, Rotations};

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
    let recorded = Arc::new(Recorded::default());
    let (key_sender, key) = watch::channel(KeyState::Unknown);
    let namespaces: Vec<Option<String>> = match settings.watch_namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let (stores, writers): (Vec<_>, Vec<_>) =
        namespaces.iter().map(|_| watches::store_pair()).unzip();
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: std::env::var("POD_NAME").ok(),
    };
    let ctx = Arc::new(Context {
        reporter,
        client,
        settings,
        connections: Connections::default(),
        memory: Memory::default(),
        rotations: Rotations::default(),
        recorded,
        backoff: Backoff::default(),
        repairs: Repairs::default(),
        blind_to_definition: std::sync::Once::new(),
        metrics,
        key,
        verified: std::sync::Mutex::default(),
        began: reconcile::seconds(),
        lists: watch::Sender::new(0),
        defined: watch::Sender::new(false),
        names: Arc::new(Names::default()),
        stopping: stop.clone(),
        tasks: TaskTracker::new(),
        stores,
    });
    let troubles = Arc::new(Troubles::default());
    let background = CancellationToken::new();
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(find_key(Arc::clone(&ctx), key_sender)),
    );
    tokio::spawn(
        background
            .clone()
            .run_until_cancelled_owned(definitions::watch_definitions(
                Arc::clone(&ctx),
                readiness.clone(),
            )),
    );
    tokio::spawn(background.clone().run_until_cancelled_owned(watch_health(
        Arc::clone(&ctx),
        readiness,
        Arc::clone(&troubles),
    )));

    let mut controllers = tokio::task::JoinSet::new();
    for namespace in &namespaces {
        controllers.spawn(connections::connections::<ProvidentConnection>(
            Arc::clone(&ctx),
            namespace.clone(),
            namespace.clone(),
            Arc::clone(&troubles),
        ));
    }
    for (namespace, writers) in namespaces.into_iter().zip(writers) {
        controllers.spawn(clients::clients(
            Arc::clone(&ctx),
            namespace,
            writers,
            Arc::clone(&troubles),
        ));
    }
    if ctx.settings.cluster_connections {
        controllers.spawn(connections::connections::<ClusterProvidentConnection>(
            Arc::clone(&ctx),
            None,
            Some(ctx.settings.namespace.clone()),
            Arc::clone(&troubles),
        ));
    }
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

async fn find_key(ctx: Arc<Context>, found: watch::Sender<KeyState>) {
    ctx.listed().await;
    loop {
        match key::load(
            &ctx.client,
            &ctx.settings.namespace,
            &ctx.settings.binding_key_secret,
            async || Ok(!some_binding(&ctx).await?),
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

// Whether some object carries a binding, in status or on its Secret.
async fn some_binding(ctx: &Context) -> Result<bool, kube::Error> {
    let in_status = |object: &OAuthClient| {
        let status = object.status.as_ref();
        status.is_some_and(|status| status.binding_mac.is_some())
    };
    let on_secret =
        |secret: &PartialObjectMeta<Secret>| secret.annotations().contains_key(BINDING_ANNOTATION);
    let told = ctx.stores.iter().any(|stores| {
        stores.clients.find(in_status).is_some() || stores.secrets.find(on_secret).is_some()
    });
    if told || ctx.settings.watch_secrets {
        return Ok(told);
    }
    // Restored without their status: their Secrets tell, read one by one, once in the life of an install.
    for object in ctx.stores.iter().flat_map(|stores| stores.clients.state()) {
        let secrets = ctx.secrets(&object.namespace().unwrap_or_default());
        let secret = secrets.get_metadata_opt(object.secret_name()).await?;
        if secret.is_some_and(|secret| on_secret(&secret)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn watch_health(ctx: Arc<Context>, readiness: Readiness, troubles: Arc<Troubles>) {
    ctx.ready().await;
    loop {
        readiness.set(if ctx.stopping.is_cancelled() {
            Stage::Stopping
        } else if !*ctx.defined.borrow() {
            Stage::Undefined
        } else if troubles.are_lasting() {
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
