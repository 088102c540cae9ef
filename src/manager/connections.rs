//! The controllers of connections: one for the cluster kind, and one per watched namespace for the other.

use std::sync::Arc;

use futures::future::ready;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Resource, ResourceExt};
use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::watches::{
    api, asks, config, decoded, decoded_metadata, if_watched, keys, stopped_unlisted,
    without_errors,
};
use super::{instrument, invalid_objects};
use crate::cluster::LenientObject;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::state::connection_key::ConnectionKey;
use provident_core::api::{ConnectionKind, ConnectionSpec};

/// Runs until the process shuts down. `namespace` is where the connections are, `home` where their Secrets and
/// `ConfigMaps` are; `None` means all namespaces.
pub(super) async fn connections<K: AnyConnection>(
    ctx: Arc<Context>,
    namespace: Option<String>,
    home: Option<String>,
) {
    let (store, writer) = reflector::store::<K>();
    // Secrets and ConfigMaps are watched once there is a connection.
    let (any, first) = watch::channel(false);
    let (shared, known) = (Arc::clone(&ctx), store.clone());
    let (invalid, received) = mpsc::unbounded_channel();
    let report = invalid_objects::report_all::<K>(Arc::clone(&ctx), received);
    tokio::spawn(ctx.stopping.clone().run_until_cancelled_owned(report));
    let main = watcher(
        K::lenient_api(ctx.client.clone(), namespace.as_deref()),
        config(&ctx.config),
    )
    .default_backoff()
    .inspect_ok(move |event| match event {
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            any.send_if_modified(|any| !std::mem::replace(any, true));
            if object.0.is_err() {
                shared
                    .state
                    .connections
                    .unreadable(&K::key_of(object.meta()));
            }
        }
        // A deleted connection is gone at once, for its clients too; and again when a reconcile that may be running has ended.
        watcher::Event::Delete(object) => {
            let key = K::key_of(object.meta());
            shared.removed(&key);
            shared
                .state
                .backoff
                .clear(&object.uid().unwrap_or_default());
            shared.state.connections.trigger(&key);
        }
        watcher::Event::Init | watcher::Event::InitDone => {}
    })
    .try_filter_map(move |event| ready(Ok(decoded(event, &known, &invalid))))
    .reflect(writer)
    .touched_objects();
    let main = without_errors(main, K::KIND.as_str(), ctx.metrics.clone())
        // Finalizers too: a replace erases them.
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers),
            PredicateConfig::default(),
        )
        .inspect_ok(asks(&ctx.metrics));
    let secrets = watch_dependencies::<Secret>(&ctx, home.clone(), first.clone(), "token Secret");
    let secrets = if_watched(&ctx, secrets);
    let config_maps = watch_dependencies::<ConfigMap>(&ctx, home, first, "ConfigMap");
    let queue = ctx.metrics.queue.clone();
    let poked = requested(&ctx, namespace, store.clone());
    let poked = poked.inspect(move |connection| queue.asked(connection));
    let stopping = ctx.stopping.clone();
    let unlisted = stopped_unlisted(ctx.stopping.clone(), store.clone());
    let controller = Controller::for_stream(main, store.clone())
        .watches_stream(
            secrets,
            dependent_connections(&ctx, store.clone(), uses_secret),
        )
        .watches_stream(
            config_maps,
            dependent_connections(&ctx, store, uses_config_map),
        )
        .reconcile_on(poked)
        .graceful_shutdown_on(async move { stopping.cancelled().await })
        .run(
            |object, ctx| instrument::instrumented(object, ctx, crate::connection::reconcile::<K>),
            instrument::error_policy,
            Arc::clone(&ctx),
        )
        .for_each(|result| {
            match result {
                Ok(_) => {}
                Err(controller::Error::ObjectNotFound(object)) => {
                    let key = ConnectionKey {
                        kind: K::KIND,
                        namespace: object.namespace.unwrap_or_default(),
                        name: object.name,
                    };
                    ctx.metrics.queue.gone(&reference::<K>(&key));
                    if !ctx.state.connections.is_unreadable(&key) {
                        ctx.removed(&key);
                    }
                }
                Err(error) => warn!(%error, "Failed to reconcile, will retry"),
            }
            ready(())
        });
    tokio::select! {
        biased;
        () = controller => {}
        () = unlisted => {}
    }
}

// Only metadata, and none is kept: a change makes the connection read that one object.
fn watch_dependencies<D>(
    ctx: &Context,
    home: Option<String>,
    mut first: watch::Receiver<bool>,
    what: &'static str,
) -> impl Stream<Item = Result<PartialObjectMeta<D>, watcher::Error>> + Send + use<D>
where
    D: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
    PartialObjectMeta<D>: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let (client, config) = (ctx.client.clone(), config(&ctx.config));
    let metrics = ctx.metrics.clone();
    let touched = stream::once(async move { first.wait_for(|any| *any).await.is_ok() })
        .filter(|any| ready(*any))
        .flat_map(move |_| {
            let metrics = metrics.clone();
            watcher(
                api::<LenientObject<PartialObjectMeta<D>>>(&client, home.as_deref()),
                config.clone(),
            )
            .default_backoff()
            .try_filter_map(move |event| ready(Ok(decoded_metadata(event, &metrics))))
            .touched_objects()
        });
    without_errors(touched, what, ctx.metrics.clone())
}

// The connections that depend on an object.
fn dependent_connections<K: AnyConnection, D>(
    ctx: &Context,
    store: Store<K>,
    uses: fn(&ConnectionSpec, &str) -> bool,
) -> impl Fn(PartialObjectMeta<D>) -> Vec<ObjectRef<K>> + Send + Sync + use<K, D>
where
    D: Resource<DynamicType = ()>,
    PartialObjectMeta<D>: ResourceExt,
{
    let queue = ctx.metrics.queue.clone();
    move |object| {
        let (name, namespace) = (object.name_any(), object.namespace());
        let here = |connection: &K| match K::KIND {
            ConnectionKind::ClusterProvidentConnection => true,
            ConnectionKind::ProvidentConnection => connection.namespace() == namespace,
        };
        let state = store.state();
        state
            .iter()
            .filter(|connection| here(connection) && uses(connection.account(), &name))
            .map(|connection| ObjectRef::from_obj(connection.as_ref()))
            .inspect(|connection| queue.asked(connection))
            .collect()
    }
}

fn uses_secret(spec: &ConnectionSpec, name: &str) -> bool {
    let token = spec.auth.token_secret_ref.as_ref();
    let client = spec.auth.client_credentials_secret_ref.as_ref();
    token.is_some_and(|token| token.name == name)
        || client.is_some_and(|client| client.name == name)
}

fn uses_config_map(spec: &ConnectionSpec, name: &str) -> bool {
    spec.ca_config_map_ref
        .as_ref()
        .is_some_and(|wanted| wanted.name == name)
}

// Connections of this kind that a reconcile of a client asked to be reconciled.
fn requested<K: AnyConnection>(
    ctx: &Context,
    namespace: Option<String>,
    store: Store<K>,
) -> impl Stream<Item = ObjectRef<K>> + Send + use<K> {
    keys(ctx.state.connections.triggers()).flat_map(move |poked| {
        let ours = |key: &ConnectionKey| {
            key.kind == K::KIND
                && namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == key.namespace)
        };
        let all = || store.state().iter().map(|c| c.key()).collect();
        let keys: Vec<ConnectionKey> = poked.map_or_else(all, |key| vec![key]);
        let references: Vec<_> = keys
            .into_iter()
            .filter(ours)
            .map(|key| reference(&key))
            .collect();
        stream::iter(references)
    })
}

fn reference<K: AnyConnection>(key: &ConnectionKey) -> ObjectRef<K> {
    match key.kind {
        ConnectionKind::ClusterProvidentConnection => ObjectRef::new(&key.name),
        ConnectionKind::ProvidentConnection => ObjectRef::new(&key.name).within(&key.namespace),
    }
}
