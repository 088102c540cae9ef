//! When an object is reconciled again, and when its next verification is due.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use provident_core::api::{OAuthClient, RECONCILE, RETRY_CREATE, ROTATE, parse_duration};
use provident_core::plan::{AttemptId, NoSchedule, Requeue, next_rotation, until_next_slot};
use tracing::warn;

use super::SOON;
use crate::clock;
use crate::cluster;
use crate::context::Context;
use crate::reconcile::Next;
use crate::state::connection_key::ConnectionKey;

/// A client that is not stored yet is retried at least this often.
const UNSTORED_WAIT: Duration = Duration::from_secs(30);

/// When to reconcile after a report.
pub(crate) fn next(
    ctx: &Context,
    object: &OAuthClient,
    uid: &str,
    inputs: u64,
    requeue: Requeue,
) -> Next {
    let backoff = &ctx.state.backoff;
    match requeue {
        // It made progress, so what failed before is over.
        Requeue::Now => {
            backoff.clear(uid);
            Next::After(SOON)
        }
        Requeue::Backoff => Next::Retry(backoff.failed(uid, inputs, Duration::ZERO)),
        Requeue::After(wait) => Next::Retry(backoff.failed(uid, inputs, wait)),
        Requeue::AttemptOver => Next::After(until_attempt_over(ctx, object).max(SOON)),
        Requeue::RotationOver => {
            let wait = ctx.config.rotation_wait();
            let left = ctx.state.rotations.until_abandoned(uid, wait);
            Next::After(left.max(SOON))
        }
        Requeue::Verification => {
            backoff.clear(uid);
            Next::After(until_verification(object).min(until_rotation(object)))
        }
    }
}

/// When to reconcile after a reconcile that ended without a report. One that keeps ending so is slowed down, so that a wrong
/// verdict is no hot loop.
pub(crate) fn again(ctx: &Context, uid: &str, inputs: u64, delay: Duration) -> Next {
    match ctx.state.backoff.requeued(uid, inputs) {
        None => Next::After(delay),
        Some(slowed) => {
            ctx.metrics.outcomes.requeue_slowed();
            warn!(
                ?slowed,
                "Reconcile keeps being requeued without a result; slowing down"
            );
            Next::After(slowed.max(delay))
        }
    }
}

/// When to reconcile after a request to the API server failed.
pub(crate) fn after_api_error(
    ctx: &Context,
    reference: &ObjectRef<OAuthClient>,
    uid: &str,
    inputs: u64,
    error: &kube::Error,
) -> Next {
    // A client that is not stored, or a Secret that may be outdated, must not wait for long.
    let urgent =
        !ctx.state.attempts.unstored_for(reference).is_empty() || ctx.state.rotations.concerns(uid);
    let delay = if urgent {
        ctx.state
            .backoff
            .failed_urgently(uid, inputs, UNSTORED_WAIT)
    } else {
        ctx.state.backoff.failed(uid, inputs, Duration::ZERO)
    };
    let error = cluster::describe(error);
    warn!(error, ?delay, "Kubernetes API request failed, will retry");
    Next::Retry(delay)
}

/// A hash of everything that may end an object's wait: a new generation, a deletion, what people request by annotation, its
/// Secret, its connection.
pub(crate) fn inputs(ctx: &Context, object: &OAuthClient) -> u64 {
    let mut hash = DefaultHasher::new();
    let meta = &object.metadata;
    (
        meta.uid.as_ref(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
    )
        .hash(&mut hash);
    for requested in [RETRY_CREATE, RECONCILE, ROTATE] {
        object.annotations().get(requested).hash(&mut hash);
    }
    let namespace = object.namespace().unwrap_or_default();
    let secret = ctx.cached_secret(&namespace, object.secret_name());
    secret
        .as_ref()
        .map(|metadata| metadata.version())
        .hash(&mut hash);
    ctx.state
        .connections
        .get(&ConnectionKey::of(object))
        .map(|entry| entry.revision)
        .hash(&mut hash);
    hash.finish()
}

/// The time between two scheduled verifications.
pub(crate) fn refresh_interval(object: &OAuthClient) -> Duration {
    // The schema guarantees the form; what an older version accepted falls back to the default.
    parse_duration(&object.spec.refresh_interval).unwrap_or(Duration::from_hours(1))
}

/// Time until the next scheduled verification.
pub(crate) fn until_verification(object: &OAuthClient) -> Duration {
    let uid = object.uid().unwrap_or_default();
    until_next_slot(&uid, clock::seconds(), refresh_interval(object))
}

/// Time since the object was created; zero if the API server's clock is ahead of ours.
pub(crate) fn age(object: &OAuthClient) -> Duration {
    let created = object.metadata.creation_timestamp.as_ref();
    let age = created.map(|created| Timestamp::now().duration_since(created.0));
    age.and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default()
}

/// When an object's next rotation is due by its schedule, if it has one; `last` is when it was last rotated.
pub(crate) fn next_rotation_of(
    object: &OAuthClient,
    last: Option<&Time>,
) -> Option<Result<Timestamp, NoSchedule>> {
    let rotation = object.spec.rotation.as_ref()?;
    let since = last.or(object.metadata.creation_timestamp.as_ref())?.0;
    Some(next_rotation(rotation, since, Timestamp::now()))
}

// Without a schedule it is for ever.
fn until_rotation(object: &OAuthClient) -> Duration {
    let status = object.status.as_ref();
    let last = status.and_then(|status| status.last_rotation_time.as_ref());
    match next_rotation_of(object, last) {
        Some(Ok(next)) => {
            let left = next.duration_since(Timestamp::now());
            Duration::try_from(left)
                .unwrap_or_default()
                .max(Duration::from_secs(1))
        }
        Some(Err(_)) | None => Duration::MAX,
    }
}

fn until_attempt_over(ctx: &Context, object: &OAuthClient) -> Duration {
    let status = object.status.as_ref();
    let attempt = status.and_then(|status| status.create_attempt.as_ref());
    let uid = object.uid().unwrap_or_default();
    attempt.map_or(SOON, |attempt| {
        let id = AttemptId(attempt.id.clone());
        let wait = ctx.config.attempt_wait;
        ctx.state.attempts.watch_foreign(&id, &uid, wait)
    })
}
