//! A controller's visit of one object, whatever its kind: in a span of its own, and counted as the queue sees it.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tracing::{Instrument, debug, field, info_span};

use crate::context::Context;
use crate::reconcile::{Error, Next};
use crate::state::binding_key::KeyState;

/// Visits an object: `look` says when to come back.
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
    let span = info_span!(
        "reconcile",
        kind = %K::kind(&()),
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        uid = object.uid().unwrap_or_default(),
        generation = object.meta().generation,
        outcome = field::Empty,
        reason = field::Empty,
        otel.status_code = field::Empty,
    );
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

/// When an object is looked at again whose visit failed. What the user must know stands in status by now; this is for what
/// could not be written there.
#[allow(clippy::needless_pass_by_value, reason = "the controller's signature")]
pub fn error_policy<K: Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &Error,
    ctx: Arc<Context>,
) -> Action {
    let uid = object.uid().unwrap_or_default();
    let delay = ctx.state.backoff.failed(&uid, 0, Duration::ZERO);
    debug!(%error, ?delay, name = object.name_any(), "comes back");
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
