//! What both controllers share: how a reconcile ends, and how its writes are marked.

use std::time::Duration;

use kube::Resource;
use kube::api::PatchParams;
use provident_core::api::MANAGER;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Span;

use crate::cluster;
use crate::context::Context;
use crate::metrics::End;

/// When an object is reconciled again, unless it changes before.
pub(crate) enum Next {
    /// Only when it changes.
    OnChange,
    /// After this long.
    After(Duration),
    /// After this long, since what was tried failed.
    Retry(Duration),
}

/// A reconcile that failed, for the log and the metric; status reports what the user must know.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or refused a request that concerns the operator itself.
    #[error("Kubernetes API: {}", cluster::describe(.0))]
    Cluster(#[from] kube::Error),
}

/// Notes how the pass of this visit ended. A visit that only finds that it came too early has none.
pub(crate) fn record_end<K: Resource<DynamicType = ()>>(ctx: &Context, end: End, took: Duration) {
    ctx.metrics.passes.ended::<K>(end, took);
    let span = Span::current();
    span.record("outcome", end.as_str());
    if let End::Stopped(reason) = end {
        span.record("reason", reason.as_str());
    }
    if matches!(end, End::ApiServer | End::Panic) {
        span.record("otel.status_code", "ERROR");
    }
}

/// The JSON merge patch (RFC 7386) that turns one status into the other; lists are replaced whole.
pub(crate) fn difference<S: Serialize>(before: &S, after: &S) -> Value {
    // Plain structs always serialize.
    let object = |status: &S| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (object(before), object(after));
    let mut patch: Map<String, Value> = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key.clone(), Value::Null))
        .collect();
    for (key, value) in after {
        let value = match before.get(&key) {
            Some(same) if *same == value => continue,
            // Nothing of a replaced record may remain.
            Some(Value::Object(old)) => {
                let mut whole: Map<String, Value> =
                    old.keys().map(|key| (key.clone(), Value::Null)).collect();
                whole.extend(value.as_object().cloned().unwrap_or_default());
                Value::Object(whole)
            }
            _ => value,
        };
        patch.insert(key, value);
    }
    Value::Object(patch)
}

/// Our field manager, on every patch.
pub(crate) fn patch_params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
