//! The controller of `OAuthClient` objects, one per watched namespace.

use std::sync::Arc;

use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio::sync::mpsc;
use tracing::warn;

use super::watches::{
    api, asking, asks, config, decoded, decoded_metadata, first_list, if_watched, keys,
    stopped_unlisted, stored, without_errors,
};
use super::{binding_key as key, instrument, invalid_objects};
use crate::cluster::{self, LenientObject};
use crate::connection::in_use;
use crate::context::{Context, Stores};
use crate::oauth_client;
use provident_core::api::OAuthClient;

pub(super) async fn oauth_clients(
    ctx: Arc<Context>,
    namespace: Option<String>,
    stores: Stores,
    writer: Writer<OAuthClient>,
) {
    let namespace = namespace.as_deref();
    let objects: Api<LenientObject<OAuthClient>> = api(&ctx.client, namespace);
    let config = config(&ctx.config);
    let shared = Arc::clone(&ctx);
    let Stores {
        clients: store,
        secrets,
    } = stores;
    let (named, known) = (store.clone(), store.clone());
    let (invalid, received) = mpsc::unbounded_channel();
    let report = invalid_objects::report_all::<OAuthClient>(Arc::clone(&ctx), received);
    tokio::spawn(ctx.stopping.clone().run_until_cancelled_owned(report));
    let queue = ctx.metrics.queue.clone();
    let owning_clients = move |secret: PartialObjectMeta<Secret>| {
        let owning_clients = owning_clients(&named, &secret);
        for object in &owning_clients {
            queue.asked(object);
        }
        owning_clients
    };
    let main = watcher(objects, config.clone())
        .default_backoff()
        .inspect_ok(move |event| {
            shared.state.client_index.observe(event);
            match event {
                watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                    if let (Err(_), Some(uid)) = (&object.0, object.uid()) {
                        shared.metrics.clients.unreadable(&uid);
                    }
                }
                watcher::Event::Delete(object) => shared.forget(object),
                watcher::Event::Init | watcher::Event::InitDone => {}
            }
        })
        .try_filter_map(move |event| ready(Ok(decoded(event, &known, &invalid))))
        .try_filter_map(asking(stored(writer), observed(Arc::clone(&ctx))));
    let main =
        without_errors(main, "OAuthClient", ctx.metrics.clone()).inspect_ok(asks(&ctx.metrics));
    let objects: Api<LenientObject<PartialObjectMeta<Secret>>> = api(&ctx.client, namespace);
    let metrics = ctx.metrics.clone();
    let owned = watcher(objects, config.labels(&key::managed_selector()))
        .default_backoff()
        .try_filter_map(move |event| ready(Ok(decoded_metadata(event, &metrics))))
        .try_filter_map(asking(
            move |event| secrets.observe(event),
            first_list(Arc::clone(&ctx)),
        ));
    let owned = if_watched(&ctx, owned);
    let owned = without_errors(owned, "Secret", ctx.metrics.clone());
    let stopping = ctx.stopping.clone();
    let watched = store.clone();
    // The clients of a connection that changed.
    let dependents = keys(ctx.state.connections.changes()).flat_map(move |key| {
        let depends = |object: &OAuthClient| key.as_ref().is_none_or(|key| key.is_of(object));
        let state = watched.state();
        let objects = state.iter().filter(|object| depends(object));
        stream::iter(
            objects
                .map(|object| ObjectRef::from_obj(object.as_ref()))
                .collect::<Vec<_>>(),
        )
    });
    let queue = ctx.metrics.queue.clone();
    let dependents = dependents.inspect(move |object| queue.asked(object));
    let unlisted = stopped_unlisted(ctx.stopping.clone(), store.clone());
    let controller = Controller::for_stream(main, store)
        .watches_stream(owned, owning_clients)
        .with_config(Config::default().concurrency(ctx.config.max_concurrent_reconciles))
        .reconcile_on(dependents)
        .graceful_shutdown_on(async move { stopping.cancelled().await })
        .run(
            |object, ctx| instrument::instrumented(object, ctx, oauth_client::reconcile),
            instrument::error_policy,
            Arc::clone(&ctx),
        )
        .for_each(|result| ended(Arc::clone(&ctx), result));
    tokio::select! {
        biased;
        () = controller => {}
        () = unlisted => {}
    }
}

// What else follows from an event once it is in the store.
fn observed(ctx: Arc<Context>) -> impl FnMut(&watcher::Event<OAuthClient>) + Send {
    let mut listed = first_list(Arc::clone(&ctx));
    move |event| {
        in_use::observe_client(&ctx, event);
        listed(event);
    }
}

/// The clients that own a Secret: its controller owner or, if the owner reference was removed, those that declare its name.
fn owning_clients(
    objects: &Store<OAuthClient>,
    secret: &PartialObjectMeta<Secret>,
) -> Vec<ObjectRef<OAuthClient>> {
    let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
    let owner = secret
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true) && owner.kind == OAuthClient::kind(&()));
    if let Some(owner) = owner {
        return vec![ObjectRef::new(&owner.name).within(&namespace)];
    }
    let declares = |object: &OAuthClient| {
        object.metadata.namespace.as_ref() == Some(&namespace) && object.secret_name() == name
    };
    // Most often it has the client's own name, which saves a search through all.
    let namesake = ObjectRef::new(&name).within(&namespace);
    match objects.get(&namesake) {
        Some(object) if declares(&object) => vec![namesake],
        _ => {
            let all = objects.state();
            let such = all.iter().filter(|object| declares(object));
            such.map(|object| ObjectRef::from_obj(object.as_ref()))
                .collect()
        }
    }
}

async fn ended(
    ctx: Arc<Context>,
    result: Result<
        (ObjectRef<OAuthClient>, Action),
        controller::Error<crate::reconcile::Error, watcher::Error>,
    >,
) {
    match result {
        Ok(_) => {}
        // Normal after a deletion. A response of the vendor for the object must not be lost with it.
        Err(controller::Error::ObjectNotFound(object)) => {
            let reference =
                ObjectRef::new(&object.name).within(&object.namespace.unwrap_or_default());
            ctx.metrics.queue.gone(&reference);
            if let Err(error) = oauth_client::resolve_unstored(&ctx, &reference).await {
                let error = cluster::describe(&error);
                warn!(error, object = %reference, "Failed to store the vendor's response for a deleted object, will retry");
            }
        }
        Err(error) => warn!(%error, "Failed to reconcile, will retry"),
    }
}
