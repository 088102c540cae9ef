//! The controller of connections.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::mpsc;
use tracing::warn;

use super::clients::error_policy;
use super::watches::{Troubles, heard_only};
use crate::api::{ClusterProvidentConnection, ConnectionRef};
use crate::reconcile;
use crate::reconcile::context::Context;

pub(super) async fn cluster_connections(
    ctx: Arc<Context>,
    poked: mpsc::UnboundedReceiver<ConnectionRef>,
    troubles: Arc<Troubles>,
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
        Arc::clone(&troubles),
    )
    .predicate_filter(predicates::generation, PredicateConfig::default());
    let tokens = watcher(token_secrets, watcher::Config::default())
        .default_backoff()
        .touched_objects();
    let tokens = heard_only(tokens, "token Secret", ctx.metrics.clone(), troubles)
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
