//! The shell: observe, plan, act, report.
//!
//! [`reconcile`] is one pass over one object. It gathers the facts (`observe`), asks [`plan::next`] for a step, carries
//! it out (`act`, `create`) and asks again, until there is nothing to do or a step fails; then status is written once,
//! if it differs (`report`).

mod access;
mod act;
mod adopt;
mod backoff;
pub mod connection;
pub mod connections;
pub mod context;
mod create;
mod events;
mod going;
pub mod key;
pub mod kinds;
mod late;
mod memory;
mod observe;
mod records;
mod repairs;
mod report;
mod resolve;
mod restart;
mod rivals;
mod rotate;
mod rotations;
pub mod secrets;
pub mod settings;
mod store;
mod timing;
mod unreadable;
mod vendor;
mod visits;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use tracing::{Instrument, debug, debug_span, error, warn};

use self::context::Context;
use self::observe::Pass;
use self::visits::{Next, visit};
use crate::api::{OAuthClient, Reason};
use crate::metrics::End;
use crate::plan::{self, Retry, Stop};

pub use backoff::Backoff;
pub use late::{drain, settle};
pub use memory::{Answer, Memory};
pub use records::Recorded;
pub use repairs::Repairs;
pub use rotations::Rotations;
pub(crate) use timing::seconds;
pub(crate) use unreadable::tell_all;
pub use visits::error_policy;

/// Why a step could not be carried out.
pub(crate) enum Halt {
    /// It is to be told in status.
    Stop(Stop),
    /// Somebody else was first, or it is not its turn: look again, and say nothing.
    Again(Duration),
    /// The view was stale: look again, at the object itself, since the watch may be behind for long.
    Stale,
    /// The object is gone.
    Gone,
    /// The API server did not do it, and hence could not take a status either.
    Cluster(kube::Error),
}

/// A pass that failed, for the log and the metric; what the user must know stands in status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or refused something of our own.
    #[error("the API server: {0}")]
    Cluster(#[from] kube::Error),
}

/// A little later than now: long enough for a watch to deliver what made a view stale.
const SOON: Duration = Duration::from_millis(200);
/// An answer that is not stored yet is tried again at least this often.
const UNSTORED_WAIT: Duration = Duration::from_secs(30);

/// One pass over one object.
///
/// # Errors
/// The API server did not do its part. The controller's error policy comes back with backoff.
pub async fn reconcile(object: Arc<OAuthClient>, ctx: Arc<Context>) -> Result<Action, Error> {
    visit(object, ctx, async |object, ctx| run(object, ctx).await).await
}

async fn run(object: Arc<OAuthClient>, ctx: &Arc<Context>) -> Result<Next, Error> {
    let uid = object.uid().unwrap_or_default();
    let reference = ObjectRef::from_obj(object.as_ref());
    let inputs = timing::inputs(ctx, &object);
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
        && let Some(wait) = access::crowded(ctx, &object)
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
        Ok(Err(Halt::Stop(stop))) => End::Stopped(stop.reason),
        Ok(Err(Halt::Again(_) | Halt::Stale)) => End::Again,
        Ok(Err(Halt::Gone)) => End::Gone,
        Ok(Err(Halt::Cluster(_))) => End::ApiServer,
        Err(_) => End::Panic,
    };
    visits::ended::<OAuthClient>(ctx, end, started.elapsed());
    let retry = match outcome {
        Ok(Ok((retry, _))) => retry,
        Ok(Err(Halt::Again(delay))) => return Ok(Next::After(delay)),
        Ok(Err(Halt::Stale)) => {
            ctx.memory.doubt(&uid);
            return Ok(Next::After(SOON));
        }
        Ok(Err(Halt::Stop(stop))) => stop.retry,
        Ok(Err(Halt::Gone)) => {
            settle(ctx, &reference).await?;
            return Ok(Next::OnChange);
        }
        Ok(Err(Halt::Cluster(error))) => {
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
        Retry::Now => {
            ctx.backoff.clear(&uid);
            Next::After(SOON)
        }
        Retry::Backoff => Next::Retry(ctx.backoff.failed(&uid, inputs, Duration::ZERO)),
        Retry::After(wait) => Next::Retry(ctx.backoff.failed(&uid, inputs, wait)),
        Retry::AttemptOver => Next::After(timing::until_attempt_over(ctx, &object).max(SOON)),
        Retry::RotationOver => {
            let left = ctx.rotations.left(&uid, ctx.settings.rotation_wait());
            Next::After(left.max(SOON))
        }
        Retry::Verification => {
            ctx.backoff.clear(&uid);
            Next::After(timing::until_verification(&object).min(timing::until_rotation(&object)))
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
    warn!(%error, ?delay, "the API server did not do it");
    Next::Retry(delay)
}

// The loop. Status is written once, at its end.
async fn pass(
    object: Arc<OAuthClient>,
    ctx: &Arc<Context>,
) -> Result<(Retry, Option<Reason>), Halt> {
    let mut pass = Pass::observe(object, ctx).await?;
    let mut stop = None;
    while let Some(step) = plan::next(&pass.object.spec, &pass.seen) {
        debug!(?step, "next");
        let released = step == plan::Step::Release;
        let span = debug_span!("step", ?step);
        match pass.act(step).instrument(span).await {
            // There is no object left to report on.
            Ok(()) if released => return Ok((Retry::Verification, None)),
            Ok(()) => {}
            Err(Halt::Stop(told)) => {
                stop = Some(told);
                break;
            }
            Err(halt) => return Err(halt),
        }
        // A process that was frozen between two steps wakes without its lease.
        pass.seen.stopping |= !ctx.leadership.is_held();
    }
    let retry = pass.report(stop.as_ref()).await?;
    Ok((retry, stop.map(|stop| stop.reason)))
}
