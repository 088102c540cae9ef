//! The controller of `OAuthClient` objects.
//!
//! [`reconcile`] observes the facts of one object, asks [`plan::next`] for a step, executes it, and takes in what it has
//! shown, until there is nothing left to do. Then it writes status once, if it differs.

mod held;
mod observe;
mod requeue;
mod status;
mod steps;
mod unstored;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use provident_core::api::{OAuthClient, Reason};
use provident_core::plan::{self, Observation, Requeue};
use tracing::{Instrument, debug, debug_span, error};

use self::observe::observe;
use self::steps::execute;
use crate::context::Context;
use crate::metrics::End;
use crate::reconcile::{Error, Next, record_end};

pub use unstored::{drain, resolve_unstored};

/// Why a reconcile ended without a report.
pub(crate) enum Abort {
    /// It is another reconcile's turn, or the vendor's rate limit: come back after this long.
    Requeue(Duration),
    /// The view of the object was stale: read the object itself next time, since the watch may lag for long.
    StaleView,
    /// The object is gone.
    ObjectGone,
    /// A request to the API server failed, so status could not be written either.
    Api(kube::Error),
}

/// Requeue delay that lets the watch catch up.
const SOON: Duration = Duration::from_millis(200);

/// Reconciles one object.
///
/// # Errors
/// A request to the API server failed. The error policy requeues the object with backoff.
pub(crate) async fn reconcile(object: Arc<OAuthClient>, ctx: Arc<Context>) -> Result<Next, Error> {
    let uid = object.uid().unwrap_or_default();
    let reference = ObjectRef::from_obj(object.as_ref());
    let inputs = requeue::inputs(&ctx, &object);
    if let Err(error) = resolve_unstored(&ctx, &reference).await {
        return Ok(requeue::after_api_error(
            &ctx, &reference, &uid, inputs, &error,
        ));
    }
    if ctx.state.attempts.unstored_for(&reference).is_empty() {
        if let Some(left) = ctx.state.backoff.left(&uid, inputs) {
            return Ok(Next::After(left));
        }
        if let Some(wait) = observe::connection::reserve_create_slot(&ctx, &object) {
            ctx.metrics.vendor.put_off();
            return Ok(Next::After(wait.max(SOON)));
        }
    }
    let started = Instant::now();
    // A panic in one reconcile must not affect other objects: this one comes back with backoff. What the reconcile held is
    // dropped, and what it noted of an attempt stays, so that nothing is sent twice.
    let caught = AssertUnwindSafe(run(Arc::clone(&object), &ctx)).catch_unwind();
    let outcome = caught.await;
    let end = match &outcome {
        Ok(Ok((_, None))) => End::Success,
        Ok(Ok((_, Some(reason)))) => End::Stopped(*reason),
        Ok(Err(Abort::Requeue(_) | Abort::StaleView)) => End::Again,
        Ok(Err(Abort::ObjectGone)) => End::Gone,
        Ok(Err(Abort::Api(_))) => End::ApiServer,
        Err(_) => End::Panic,
    };
    record_end::<OAuthClient>(&ctx, end, started.elapsed());
    match outcome {
        Ok(Ok((requeue, _))) => Ok(requeue::next(&ctx, &object, &uid, inputs, requeue)),
        Ok(Err(Abort::Requeue(delay))) => Ok(requeue::again(&ctx, &uid, inputs, delay)),
        Ok(Err(Abort::StaleView)) => {
            ctx.state.views.mark_stale(&uid);
            Ok(requeue::again(&ctx, &uid, inputs, SOON))
        }
        Ok(Err(Abort::ObjectGone)) => {
            resolve_unstored(&ctx, &reference).await?;
            Ok(Next::OnChange)
        }
        Ok(Err(Abort::Api(error))) => Ok(requeue::after_api_error(
            &ctx, &reference, &uid, inputs, &error,
        )),
        Err(_) => {
            let delay = ctx.state.backoff.failed(&uid, inputs, Duration::ZERO);
            error!(
                ?delay,
                "Reconcile panicked, will retry. Please report this bug"
            );
            Ok(Next::Retry(delay))
        }
    }
}

/// The loop. Returns when to reconcile again, and what blocked a step.
pub(crate) async fn run(
    object: Arc<OAuthClient>,
    ctx: &Arc<Context>,
) -> Result<(Requeue, Option<Reason>), Abort> {
    let (mut facts, mut held) = observe(object, ctx).await?;
    while let Some(step) = plan::next(&held.object.spec, &facts) {
        debug!(?step, "Executing step");
        let span = debug_span!("step", step = <&'static str>::from(&step));
        let observation = execute(&step, &facts, &mut held).instrument(span).await?;
        let released = observation == Observation::Released;
        facts.apply(&step, observation);
        if released {
            // There is no object left to report on.
            return Ok((Requeue::Verification, None));
        }
        // A process that was frozen between two steps wakes up without its lease.
        facts.stopping |= !ctx.leadership.is_held();
    }
    let requeue = status::write(&mut held, &facts).await?;
    Ok((requeue, facts.blocked.map(|blocked| blocked.reason)))
}
