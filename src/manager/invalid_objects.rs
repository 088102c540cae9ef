//! Objects that cannot be decoded: reported and otherwise left alone. They are not in the store, so they are not reconciled.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DynamicObject, Patch};
use kube::core::ApiResource;
use kube::{Api, Resource};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::{error, warn};

use super::instrument::object_name;
use crate::cluster::events::{EventType, publish};
use crate::cluster::{self, InvalidObject};
use crate::context::Context;
use crate::metrics::Metrics;
use crate::reconcile::patch_params;
use provident_core::api::{self, ConditionStatus, ConditionType, MANAGER, Reason};

/// Longer errors are cut: they may quote what is in a field.
const LONGEST_ERROR: usize = 300;

/// Names an object of a watch of metadata that could not be decoded. It is left out.
pub(super) fn skipped<K: Resource<DynamicType = ()>>(metrics: &Metrics, object: &InvalidObject) {
    metrics.watches.invalid(&K::kind(&()));
    warn!(
        object = name_of::<K>(object),
        error = cause(object),
        "Skipped an object that cannot be decoded"
    );
}

/// Reports each object in its status and by an event, one after another, for as long as there may be more.
pub(super) async fn report_all<K: Resource<DynamicType = ()>>(
    ctx: Arc<Context>,
    mut objects: UnboundedReceiver<InvalidObject>,
) {
    let kind = K::kind(&());
    let mut logged = HashMap::new();
    while let Some(object) = objects.recv().await {
        ctx.metrics.watches.invalid(&kind);
        let (name, cause) = (name_of::<K>(&object), cause(&object));
        // The status that is written comes back through the watch.
        if logged.get(&object.metadata.uid) != Some(&cause) {
            error!(
                object = name,
                error = cause,
                "Skipped an object that cannot be decoded"
            );
            logged.insert(object.metadata.uid.clone(), cause.clone());
        }
        match report_invalid::<K>(&ctx, &object, &cause).await {
            Ok(()) => {}
            // A newer version of it is on its way through the watch.
            Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => {}
            Err(error) => {
                let error = cluster::describe(&error);
                warn!(
                    error,
                    object = name,
                    "Failed to report an invalid object in its status"
                );
            }
        }
    }
}

async fn report_invalid<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &InvalidObject,
    cause: &str,
) -> Result<(), kube::Error> {
    let meta = &object.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let message = format!(
        "{cause}. This version of {MANAGER} cannot decode the object and does not reconcile it. Correct the field, or run \
         the version of {MANAGER} that the CRD belongs to"
    );
    let before = Vec::<Condition>::deserialize(&object.status["conditions"]).unwrap_or_default();
    let mut after = before.clone();
    let generation = meta.generation.unwrap_or_default();
    for (type_, value) in [
        (ConditionType::Ready, ConditionStatus::False),
        (ConditionType::Stalled, ConditionStatus::True),
    ] {
        let (message, now) = (message.clone(), Timestamp::now());
        api::set(
            &mut after,
            type_,
            value,
            Reason::InvalidObject,
            message,
            generation,
            now,
        );
    }
    if before == after {
        return Ok(());
    }
    let resource = ApiResource::erase::<K>(&());
    let all: Api<DynamicObject> = match &meta.namespace {
        Some(namespace) => Api::namespaced_with(ctx.client.clone(), namespace, &resource),
        None => Api::all_with(ctx.client.clone(), &resource),
    };
    let patch = json!({
        "metadata": { "resourceVersion": meta.resource_version },
        "status": { "observedGeneration": generation, "conditions": after },
    });
    all.patch_status(&name, &patch_params(), &Patch::Merge(&patch))
        .await?;
    let about = ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    };
    publish(
        &ctx.client,
        &ctx.reporter,
        &about,
        EventType::Warning,
        Reason::InvalidObject.as_str(),
        &message,
    )
    .await;
    Ok(())
}

fn cause(object: &InvalidObject) -> String {
    object.error.chars().take(LONGEST_ERROR).collect()
}

fn name_of<K: Resource<DynamicType = ()>>(object: &InvalidObject) -> String {
    let meta = &object.metadata;
    object_name(
        &K::kind(&()),
        meta.namespace.as_deref().unwrap_or_default(),
        meta.name.as_deref().unwrap_or("without a name"),
    )
}
