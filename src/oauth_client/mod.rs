//! The shell: observe, plan, act, report.
//!
//! [`reconcile`] is one pass over one object. It gathers the facts (`observe`), asks [`plan::next`] for a step, carries
//! it out (`act`, `create`) and asks again, until there is nothing to do or a step fails; then status is written once,
//! if it differs (`report`).

mod observe;
mod requeue;
mod status;
mod steps;
mod unstored;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tracing::{Instrument, debug, debug_span, error, warn};

use self::observe::Pass;
use crate::cluster;
use crate::context::Context;
use crate::metrics::End;
use crate::reconcile::{Error, Next, record_end};
use provident_core::api::{OAuthClient, Reason};
use provident_core::plan::{self, Blocked, Requeue};

pub use unstored::{drain, settle};

/// Why a step could not be carried out.
pub(crate) enum Abort {
    /// It is to be told in status.
    Blocked(Blocked),
    /// Somebody else was first, or it is not its turn: look again, and say nothing.
    Requeue(Duration),
    /// The view was stale: look again, at the object itself, since the watch may be behind for long.
    StaleView,
    /// The object is gone.
    ObjectGone,
    /// The API server did not do it, and hence could not take a status either.
    Api(kube::Error),
}

/// A little later than now: long enough for a watch to deliver what made a view stale.
const SOON: Duration = Duration::from_millis(200);
/// An answer that is not stored yet is tried again at least this often.
const UNSTORED_WAIT: Duration = Duration::from_secs(30);

/// Reconciles one object.
///
/// # Errors
/// A request to the API server failed. The error policy requeues the object with backoff.
pub(crate) async fn reconcile(object: Arc<OAuthClient>, ctx: Arc<Context>) -> Result<Next, Error> {
    run(object, &ctx).await
}

async fn run(object: Arc<OAuthClient>, ctx: &Arc<Context>) -> Result<Next, Error> {
    let uid = object.uid().unwrap_or_default();
    let reference = ObjectRef::from_obj(object.as_ref());
    let inputs = requeue::inputs(ctx, &object);
    if let Err(error) = settle(ctx, &reference).await {
        return Ok(cluster_failed(ctx, &reference, &uid, inputs, &error));
    }
    let unstored = ctx.memory.answers_for(&reference);
    if unstored.is_empty()
        && let Some(left) = ctx.backoff.left(&uid, inputs)
    {
        return Ok(Next::After(left));
    }
    if unstored.is_empty()
        && let Some(wait) = observe::connection::crowded(ctx, &object)
    {
        ctx.metrics.vendor.put_off();
        return Ok(Next::After(wait.max(SOON)));
    }
    let started = std::time::Instant::now();
    // A bug met by one object is no reason to leave the others: that one comes back with backoff. What the pass held is
    // dropped, and what it noted of an attempt stays, so that nothing is sent twice.
    let caught = AssertUnwindSafe(pass(Arc::clone(&object), ctx)).catch_unwind();
    let outcome = caught.await;
    let end = match &outcome {
        Ok(Ok((_, None))) => End::Success,
        Ok(Ok((_, Some(reason)))) => End::Stopped(*reason),
        Ok(Err(Abort::Blocked(stop))) => End::Stopped(stop.reason),
        Ok(Err(Abort::Requeue(_) | Abort::StaleView)) => End::Again,
        Ok(Err(Abort::ObjectGone)) => End::Gone,
        Ok(Err(Abort::Api(_))) => End::ApiServer,
        Err(_) => End::Panic,
    };
    record_end::<OAuthClient>(ctx, end, started.elapsed());
    let retry = match outcome {
        Ok(Ok((retry, _))) => retry,
        Ok(Err(Abort::Requeue(delay))) => return Ok(Next::After(delay)),
        Ok(Err(Abort::StaleView)) => {
            ctx.memory.doubt(&uid);
            return Ok(Next::After(SOON));
        }
        Ok(Err(Abort::Blocked(stop))) => stop.retry,
        Ok(Err(Abort::ObjectGone)) => {
            settle(ctx, &reference).await?;
            return Ok(Next::OnChange);
        }
        Ok(Err(Abort::Api(error))) => {
            return Ok(cluster_failed(ctx, &reference, &uid, inputs, &error));
        }
        Err(_) => {
            let delay = ctx.backoff.failed(&uid, inputs, Duration::ZERO);
            error!(?delay, "a pass panicked: please report this");
            return Ok(Next::Retry(delay));
        }
    };
    Ok(match retry {
        // It got on, so what failed before is over.
        Requeue::Now => {
            ctx.backoff.clear(&uid);
            Next::After(SOON)
        }
        Requeue::Backoff => Next::Retry(ctx.backoff.failed(&uid, inputs, Duration::ZERO)),
        Requeue::After(wait) => Next::Retry(ctx.backoff.failed(&uid, inputs, wait)),
        Requeue::AttemptOver => Next::After(requeue::until_attempt_over(ctx, &object).max(SOON)),
        Requeue::RotationOver => {
            let left = ctx.rotations.left(&uid, ctx.config.rotation_wait());
            Next::After(left.max(SOON))
        }
        Requeue::Verification => {
            ctx.backoff.clear(&uid);
            Next::After(requeue::until_verification(&object).min(requeue::until_rotation(&object)))
        }
    })
}

fn cluster_failed(
    ctx: &Context,
    reference: &ObjectRef<OAuthClient>,
    uid: &str,
    inputs: u64,
    error: &kube::Error,
) -> Next {
    // An answer that is not stored, or a Secret that may be of yesterday: not for long.
    let urgent = !ctx.memory.answers_for(reference).is_empty() || ctx.rotations.concerns(uid);
    let delay = if urgent {
        ctx.backoff.failed_urgently(uid, inputs, UNSTORED_WAIT)
    } else {
        ctx.backoff.failed(uid, inputs, Duration::ZERO)
    };
    let error = cluster::describe(error);
    warn!(error, ?delay, "Kubernetes API request failed, will retry");
    Next::Retry(delay)
}

// The loop. Status is written once, at its end.
async fn pass(
    object: Arc<OAuthClient>,
    ctx: &Arc<Context>,
) -> Result<(Requeue, Option<Reason>), Abort> {
    let mut pass = Pass::observe(object, ctx).await?;
    let mut stop = None;
    while let Some(step) = plan::next(&pass.object.spec, &pass.facts) {
        debug!(?step, "next");
        let released = step == plan::Step::Release;
        let span = debug_span!("step", ?step);
        match pass.act(step).instrument(span).await {
            // There is no object left to report on.
            Ok(()) if released => return Ok((Requeue::Verification, None)),
            Ok(()) => {}
            Err(Abort::Blocked(blocked)) => {
                stop = Some(blocked);
                break;
            }
            Err(halt) => return Err(halt),
        }
        // A process that was frozen between two steps wakes without its lease.
        pass.facts.stopping |= !ctx.leadership.is_held();
    }
    let retry = pass.report(stop.as_ref()).await?;
    Ok((retry, stop.map(|stop| stop.reason)))
}
