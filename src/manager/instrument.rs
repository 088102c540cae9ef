//! Instrumentation of a reconcile, whatever the kind of its object: a span of its own, and the metrics of the queue.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tracing::{Instrument, debug, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::context::Context;
use crate::reconcile::{Error, Next};
use crate::state::binding_key::KeyState;

/// Reconciles an object in a span of its own. `reconcile` says when to requeue it.
pub(crate) async fn instrumented<K>(
    object: Arc<K>,
    ctx: Arc<Context>,
    reconcile: impl AsyncFnOnce(Arc<K>, Arc<Context>) -> Result<Next, Error>,
) -> Result<Action, Error>
where
    K: Resource<DynamicType = ()>,
{
    if let Some(action) = wait_until_active(&ctx).await {
        return Ok(action);
    }
    let reference = ObjectRef::from_obj(object.as_ref());
    let (kind, namespace, name) = (
        K::kind(&()),
        object.namespace().unwrap_or_default(),
        object.name_any(),
    );
    // Its fields are on every log line, so they only name the object. The rest is for traces.
    let span = info_span!(
        "reconcile",
        object = %object_name(&kind, &namespace, &name),
        outcome = field::Empty,
        reason = field::Empty,
        otel.status_code = field::Empty,
    );
    span.set_attribute("kind", kind.into_owned());
    span.set_attribute("namespace", namespace);
    span.set_attribute("name", name);
    span.set_attribute("uid", object.uid().unwrap_or_default());
    span.set_attribute("generation", object.meta().generation.unwrap_or_default());
    let _working = ctx.metrics.queue.begun(&reference);
    let next = reconcile(object, Arc::clone(&ctx)).instrument(span).await?;
    Ok(match next {
        Next::OnChange => Action::await_change(),
        Next::After(delay) => {
            ctx.metrics.queue.again(&reference, delay);
            Action::requeue(delay)
        }
        Next::Retry(delay) => {
            ctx.metrics.queue.failed::<K>();
            ctx.metrics.queue.again(&reference, delay);
            Action::requeue(delay)
        }
    })
}

/// Requeues an object whose reconcile failed, with backoff. What the user must know is in its status by then, unless that
/// could not be written.
#[allow(clippy::needless_pass_by_value, reason = "the controller's signature")]
pub fn error_policy<K: Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &Error,
    ctx: Arc<Context>,
) -> Action {
    let uid = object.uid().unwrap_or_default();
    let delay = ctx.state.backoff.failed(&uid, 0, Duration::ZERO);
    let namespace = object.namespace().unwrap_or_default();
    let object_name = object_name(&K::kind(&()), &namespace, &object.name_any());
    debug!(%error, object = object_name, ?delay, "Failed to reconcile, will retry");
    ctx.metrics.queue.failed::<K>();
    ctx.metrics
        .queue
        .again(&ObjectRef::from_obj(object.as_ref()), delay);
    Action::requeue(delay)
}

/// What keeps a reconcile from starting; `None` if it may start. It needs the lease, the first lists, and the key, without which
/// no object can be judged. If it had to wait, which a standby does for days, its view is outdated: the controller requeues the
/// object at once, with a new view.
async fn wait_until_active(ctx: &Context) -> Option<Action> {
    if ctx.is_listed()
        && ctx.is_key_known()
        && ctx.leadership.is_held()
        && !ctx.stopping.is_cancelled()
    {
        return None;
    }
    let mut key = ctx.key.clone();
    let active = async {
        ctx.wait_until_listed().await;
        ctx.leadership.held().await;
        key.wait_for(|key| !matches!(key, KeyState::Unknown))
            .await
            .is_ok()
    };
    let active = ctx.stopping.run_until_cancelled(active).await;
    Some(match active {
        Some(true) => Action::requeue(Duration::ZERO),
        Some(false) | None => Action::await_change(),
    })
}

/// An object in a log line. Its namespace is empty for a kind without namespaces.
pub(super) fn object_name(kind: &str, namespace: &str, name: &str) -> String {
    match namespace {
        "" => format!("{kind}/{name}"),
        namespace => format!("{kind}/{namespace}/{name}"),
    }
}
