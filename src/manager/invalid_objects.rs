//! Objects that this version cannot read: told, and left alone. They are no longer in the store, so no pass meets them.

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

use crate::cluster::events::publish;
use crate::cluster::{self, InvalidObject};
use crate::context::Context;
use crate::reconcile::patch_params;
use provident_core::api::{self, ConditionStatus, ConditionType, MANAGER, Reason};

/// Longer errors are cut: they may quote what stands in a field.
const LONGEST_ERROR: usize = 300;

/// Tells of each in its status and by an event, one after another, for as long as there may be more.
pub async fn tell_all<K: Resource<DynamicType = ()>>(
    ctx: Arc<Context>,
    mut objects: UnboundedReceiver<InvalidObject>,
) {
    while let Some(object) = objects.recv().await {
        match tell::<K>(&ctx, &object).await {
            Ok(()) => {}
            // A newer version of it is on its way through the watch.
            Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => {}
            Err(error) => {
                warn!(%error, "an object that cannot be read was not told so in its status");
            }
        }
    }
}

async fn tell<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &InvalidObject,
) -> Result<(), kube::Error> {
    let (kind, meta) = (K::kind(&()), &object.metadata);
    let name = meta.name.clone().unwrap_or_default();
    let cause: String = object.error.chars().take(LONGEST_ERROR).collect();
    let message = format!(
        "{cause}. This version of {MANAGER} cannot read the object and leaves it as it is. Correct the field, or run the \
         version that its definition is of"
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
    error!(%kind, name, namespace = meta.namespace, error = cause, "an object cannot be read");
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
    publish(ctx, &about, true, Reason::InvalidObject, &message).await;
    Ok(())
}
