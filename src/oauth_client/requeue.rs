//! When an object is looked at: what ends its wait, and when its next verification is due.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::clock::seconds;
use crate::context::Context;
use crate::oauth_client::SOON;
use crate::oauth_client::observe::Pass;
use crate::state::connection_registry::ConnectionKey;
use provident_core::api::{OAuthClient, RECONCILE, RETRY_CREATE, ROTATE, parse_duration};
use provident_core::plan::{AttemptId, NoSchedule, due_slot, next_rotation, until_next_slot};

/// A hash of all that may end an object's wait: a new generation, a deletion, what people ask for by annotation, its
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
    for asked in [RETRY_CREATE, RECONCILE, ROTATE] {
        object.annotations().get(asked).hash(&mut hash);
    }
    let namespace = object.namespace().unwrap_or_default();
    let secret = ctx.secret_in_store(&namespace, object.secret_name());
    secret.as_ref().map(|marks| marks.version()).hash(&mut hash);
    ctx.connections
        .get(&ConnectionKey::of(object))
        .map(|entry| entry.revision)
        .hash(&mut hash);
    hash.finish()
}

/// Time until the next scheduled verification.
pub(crate) fn until_verification(object: &OAuthClient) -> Duration {
    let uid = object.uid().unwrap_or_default();
    until_next_slot(&uid, seconds(), interval(object))
}

/// Time since the object was created; zero where its clock is ahead of ours.
pub(crate) fn age(object: &OAuthClient) -> Duration {
    let created = object.metadata.creation_timestamp.as_ref();
    let age = created.map(|created| Timestamp::now().duration_since(created.0));
    age.and_then(|age| Duration::try_from(age).ok())
        .unwrap_or_default()
}

/// When an object's next rotation is due by its schedule, if it has one; `last` is when it was rotated last.
pub(crate) fn next_of(
    object: &OAuthClient,
    last: Option<&Time>,
) -> Option<Result<Timestamp, NoSchedule>> {
    let rotation = object.spec.rotation.as_ref()?;
    let since = last.or(object.metadata.creation_timestamp.as_ref())?.0;
    Some(next_rotation(rotation, since, Timestamp::now()))
}

/// Time until the schedule asks for a rotation; for ever without one.
pub(crate) fn until_rotation(object: &OAuthClient) -> Duration {
    let status = object.status.as_ref();
    let last = status.and_then(|status| status.last_rotation_time.as_ref());
    match next_of(object, last) {
        Some(Ok(next)) => {
            let left = next.duration_since(Timestamp::now());
            Duration::try_from(left)
                .unwrap_or_default()
                .max(Duration::from_secs(1))
        }
        Some(Err(_)) | None => Duration::MAX,
    }
}

/// How long the attempt in status still counts as one that may run.
pub(crate) fn until_attempt_over(ctx: &Context, object: &OAuthClient) -> Duration {
    let attempt = object
        .status
        .as_ref()
        .and_then(|status| status.create_attempt.as_ref());
    let uid = object.uid().unwrap_or_default();
    attempt.map_or(SOON, |attempt| {
        ctx.memory.left(
            &AttemptId(attempt.id.clone()),
            &uid,
            ctx.config.attempt_wait,
        )
    })
}

fn interval(object: &OAuthClient) -> Duration {
    // The schema holds the form; what it let through in an older version falls back to the default.
    parse_duration(&object.spec.refresh_interval).unwrap_or(Duration::from_hours(1))
}

impl Pass {
    pub fn is_due(&self, uid: &str, handled: Option<&str>) -> bool {
        let asked = self.object.annotations().get(RECONCILE);
        let interval = interval(&self.object);
        let verified = self
            .ctx
            .verified
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let last = verified
            .get(uid)
            .copied()
            .unwrap_or_else(|| due_slot(uid, self.ctx.began(), interval));
        due_slot(uid, seconds(), interval) > last
            || asked.is_some_and(|asked| Some(asked.as_str()) != handled)
    }

    /// Notes that the client was verified now.
    pub fn verified(&self) {
        let uid = self.object.uid().unwrap_or_default();
        self.set_verified(due_slot(&uid, seconds(), interval(&self.object)));
    }

    /// Notes that the client is another one by now: it is due, whatever becomes of this pass.
    pub fn outdated(&self) {
        self.set_verified(0);
    }

    fn set_verified(&self, slot: u64) {
        let uid = self.object.uid().unwrap_or_default();
        let mut verified = self
            .ctx
            .verified
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        verified.insert(uid, slot);
    }
}
