//! Gathers the facts of one object, by value. What cannot be read makes the reconcile fail; nothing is assumed.

mod adoption;
pub(crate) mod connection;
mod namespace;
pub(crate) mod ownership;
mod rotation;
pub(crate) mod terminating;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use provident_core::api::{
    self, AttemptOutcome, ConditionType, DeletionPolicy, FINALIZER, OAuthClient, OAuthClientStatus,
    RECONCILE, RETRY_CREATE, Reason,
};
use provident_core::binding::{BindingKey, Verification};
use provident_core::plan::{
    AdoptionFact, Attempt, AttemptId, AttemptState, Blocked, Content, Facts, Field, RecordedClient,
    Requeue, SecretFacts, Vendor,
};
use provident_core::vendor::outcome::Ambiguity;
use provident_core::vendor::types::ClientId;

pub(crate) use self::adoption::read_secret;
use self::connection::observe_connection;
use super::held::Held;
use super::requeue::refresh_interval;
use super::{Abort, SOON};
use crate::cluster;
use crate::context::Context;
use crate::state::binding_key::KeyState;

/// What `kubectl delete --cascade=orphan` puts on an object, until its dependents have lost their owner.
const ORPHAN_FINALIZER: &str = "orphan";
/// The longest that a healthy watch lags behind.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// Gathers the facts of one object, and what the reconcile holds from the start.
pub(crate) async fn observe(
    object: Arc<OAuthClient>,
    ctx: &Arc<Context>,
) -> Result<(Facts, Held), Abort> {
    let object = fresh_view(&object, ctx).await?;
    let key = match &*ctx.key.borrow() {
        KeyState::Loaded(key) => Some(BindingKey::clone(key)),
        KeyState::Missing(_) | KeyState::Unknown => None,
    };
    let namespace_uid = namespace::namespace_uid(ctx, &object).await?;
    let mut held = Held {
        ctx: Arc::clone(ctx),
        object,
        key,
        namespace_uid,
        connection: None,
        secret: None,
        client: None,
        connection_lost: false,
        may_adopt: false,
        proof: None,
        permit: None,
        lock: None,
        rotation_turn: None,
        restarted: false,
    };
    let uid = held.uid();
    let status = held.object.status.clone().unwrap_or_default();
    let current = status.observed_generation == held.object.metadata.generation;
    let ready = api::find(&status.conditions, ConditionType::Ready);
    let is_ready = ready.is_some_and(|ready| ready.status == "True");
    let deleting = held.object.metadata.deletion_timestamp.is_some();
    // The garbage collector takes our owner reference off the Secret, then its finalizer off the object. What it left of the
    // Secret says then that the client stays.
    if deleting
        && held
            .object
            .finalizers()
            .iter()
            .any(|f| f == ORPHAN_FINALIZER)
    {
        return Err(Abort::Requeue(SOON));
    }
    let record = recorded_client(&held, &status);
    let attempt = attempt(&held, &status);
    let connection = observe_connection(&mut held, attempt.as_ref(), deleting).await?;
    let rotation = rotation::observe_rotation(&mut held, &status, &record, deleting).await?;
    let requested = held.object.annotations().get(RECONCILE).cloned();
    let verification_requested = requested.is_some() && requested != status.last_handled_reconcile;
    let is_due = || {
        let interval = refresh_interval(&held.object);
        ctx.state.verifications.is_due(&uid, interval)
    };
    // Also where nothing can be deactivated: such a deletion would wait.
    let deactivates = deleting && held.object.spec.deletion_policy == DeletionPolicy::Deactivate;
    let facts = Facts {
        deleting,
        finalizer: held.object.finalizers().iter().any(|f| f == FINALIZER),
        ready: current && is_ready,
        was_ready: is_ready,
        rejected: status.rejected_generation.is_some()
            && status.rejected_generation == held.object.metadata.generation,
        due: is_due() || verification_requested,
        verification_requested,
        secret: known_secret(&held, &status, &record, current),
        conflict: ownership::observe_conflict(&held, &record),
        record,
        attempt,
        retry: held
            .object
            .annotations()
            .get(RETRY_CREATE)
            .cloned()
            .map(AttemptId),
        connection: connection.facts,
        breaker_open: connection.breaker_open,
        auto_retry: connection.auto_retry,
        stopping: ctx.stopping.is_cancelled(),
        preflight: false,
        vendor: Vendor::NotAsked,
        updated: false,
        not_applied: not_applied(&status, held.object.metadata.generation),
        adoption: AdoptionFact::None,
        restart: false,
        rotation,
        contested: current && ctx.state.repairs.are_too_many(&uid),
        crd_terminating: deactivates
            && (held.connection_lost || terminating::crd_is_terminating(ctx).await?),
        blocked: if deleting {
            None
        } else {
            invalid_spec(&held.object)
        },
    };
    Ok((facts, held))
}

// An attempt of this process is judged by a fresh view only, and a view that was found stale is not used again: the Secret's
// event may arrive before that of the status write that recorded it.
async fn fresh_view(object: &OAuthClient, ctx: &Context) -> Result<OAuthClient, Abort> {
    let uid = object.uid().unwrap_or_default();
    let version = object.resource_version().unwrap_or_default();
    let stale = ctx.state.views.take_stale(&uid);
    let lag = ctx.state.views.take_lag(&uid, &version);
    let ours = ctx.state.attempts.concerns(&ObjectRef::from_obj(object))
        || ctx.state.rotations.concerns(&uid);
    if !stale && !ours {
        match lag {
            None => return Ok(object.clone()),
            // The watch is about to show what we wrote, and that costs nothing.
            Some(age) if age < WATCH_LAG => return Err(Abort::Requeue(SOON)),
            Some(_) => {}
        }
    }
    let namespace = object.namespace().unwrap_or_default();
    match ctx.objects(&namespace).get(&object.name_any()).await {
        Ok(fresh) if fresh.uid() == object.uid() => Ok(fresh),
        Ok(_) => Err(Abort::Requeue(SOON)),
        Err(error) if cluster::is_not_found(&error) => Err(Abort::ObjectGone),
        Err(error) => Err(Abort::Api(error)),
    }
}

fn recorded_client(held: &Held, status: &OAuthClientStatus) -> RecordedClient {
    let Some(key) = &held.key else {
        return RecordedClient::KeyMissing;
    };
    let Some(client) = &status.client_id else {
        return RecordedClient::Empty;
    };
    match (ClientId::parse(client), &status.binding_mac) {
        (Some(id), Some(mac)) if key.verify(held.bound(), &id, mac) == Verification::Valid => {
            RecordedClient::Bound(id)
        }
        _ => RecordedClient::Unverified,
    }
}

// What the schema cannot check is reported before anything is done for the object.
fn invalid_spec(object: &OAuthClient) -> Option<Blocked> {
    let errors = api::validate(&object.spec);
    // An interval that an older schema accepted falls back to the default.
    let errors = errors
        .iter()
        .filter(|error| error.field != "spec.refreshInterval");
    let messages: Vec<String> = errors.map(ToString::to_string).collect();
    (!messages.is_empty()).then(|| {
        Blocked::new(
            Reason::InvalidObject,
            messages.join(". "),
            Requeue::Verification,
        )
    })
}

// What this process knows of its own attempt outlives a status that somebody emptied.
fn attempt(held: &Held, status: &OAuthClientStatus) -> Option<Attempt> {
    let attempts = &held.ctx.state.attempts;
    let uid = held.uid();
    let Some(recorded) = &status.create_attempt else {
        let sent = attempts
            .sent_for(&uid)
            .filter(|_| status.client_id.is_none())?;
        return Some(Attempt {
            state: attempts.state(&sent.id, &uid, held.ctx.config.attempt_wait),
            id: sent.id,
            retry_of: sent.retry_of,
        });
    };
    let id = AttemptId(recorded.id.clone());
    let state = attempts.state(&id, &uid, held.ctx.config.attempt_wait);
    let state = match (state, recorded.outcome) {
        // Another process, or an earlier one, recorded that the attempt has ended, so this one need not wait for it.
        (AttemptState::InProgress | AttemptState::Abandoned, Some(outcome)) => {
            AttemptState::Unknown(match outcome {
                AttemptOutcome::NoAnswer => Ambiguity::NoAnswer,
                AttemptOutcome::ExistingClientReturned => Ambiguity::ExistingClient,
            })
        }
        (state, _) => state,
    };
    Some(Attempt {
        id,
        retry_of: recorded.retry_of.clone().map(AttemptId),
        state,
    })
}

fn not_applied(status: &OAuthClientStatus, generation: Option<i64>) -> Vec<Field> {
    let recorded = status.fields_not_applied.as_ref();
    let recorded = recorded.filter(|recorded| Some(recorded.generation) == generation);
    let names = recorded.into_iter().flat_map(|recorded| &recorded.fields);
    names.filter_map(|name| name.parse().ok()).collect()
}

// A Secret of the very version that status records for this generation needs no reading. Any other is read by name, since
// the watch sees only what carries our label.
fn known_secret(
    held: &Held,
    status: &OAuthClientStatus,
    record: &RecordedClient,
    current: bool,
) -> SecretFacts {
    // Whether the Secret of an object that is being deleted was orphaned must not be read from a view that lags behind.
    let deleting = held.object.metadata.deletion_timestamp.is_some();
    let recorded = match record {
        RecordedClient::Bound(_) if current && !deleting => {
            status.secret_resource_version.as_deref()
        }
        _ => None,
    };
    let name = held.object.secret_name();
    match held.ctx.cached_secret(&held.namespace(), name) {
        Some(metadata) if Some(metadata.version()) == recorded => {
            held.secret_facts(&metadata, Content::Current)
        }
        _ => SecretFacts::Unread,
    }
}
