//! Reconciles a connection of either kind: reads its credential, probes the vendor when there is reason to, writes its
//! status, and gives clients something to call with.

mod condition;
mod host;
pub(crate) mod in_use;
pub mod kinds;
mod managed;
pub mod resolve;
mod status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::events::{EventType, publish};
use crate::connection::condition::{availability, condition};
use crate::connection::in_use::Guarded;
use crate::connection::kinds::AnyConnection;
use crate::connection::managed::Manager;
use crate::connection::resolve::resolve;
use crate::context::Context;
use crate::metrics::End;
use crate::reconcile::Error;
use crate::reconcile::{Next, record_end};
use crate::state::binding_key::KeyState;
use crate::state::connection_key::ConnectionKey;
use crate::state::connection_registry::{Availability, Update};
use crate::vendor::connection::VendorConnection;
use crate::vendor::health::Health;
use provident_core::api::{self, ConditionStatus, Reason};
use provident_core::binding::{BindingKey, Bound, Verification};
use provident_core::plan::ConditionUpdate;
use provident_core::vendor::types::ClientId;

/// Probes of a connection in trouble grow from a second to this.
const LONGEST_WAIT: Duration = Duration::from_mins(2);
/// After a refused status write: long enough for the watch to bring what made the view stale.
const STALE: Duration = Duration::from_secs(1);
/// While the binding key is not at hand.
const KEY_WAIT: Duration = Duration::from_secs(5);
/// How long until a healthy connection is reconciled again, if nothing about it changes.
const RESYNC: Duration = Duration::from_hours(1);
/// How long until a connection of another installation is reconciled again: that installation may have released it.
const MANAGED_ELSEWHERE: Duration = Duration::from_mins(1);
/// The clients that keep a connection are counted again after this, so that status follows without a write for each.
const COUNT_AGAIN: Duration = Duration::from_secs(10);

/// Reconciles one connection.
///
/// # Errors
/// A request to the API server failed.
pub(crate) async fn reconcile<K: AnyConnection>(
    object: Arc<K>,
    ctx: Arc<Context>,
) -> Result<Next, Error> {
    let began = Instant::now();
    let looked = look(object.as_ref(), &ctx).await;
    let end = match &looked {
        Ok((_, Some(reason))) => End::Stopped(*reason),
        Ok((_, None)) => End::Success,
        Err(_) => End::ApiServer,
    };
    record_end::<K>(&ctx, end, began.elapsed());
    Ok(looked?.0)
}

// When to reconcile again, and why the connection is not ready.
async fn look<K: AnyConnection>(
    object: &K,
    ctx: &Arc<Context>,
) -> Result<(Next, Option<Reason>), Error> {
    let this = object.key();
    // An operator that watches some namespaces only leaves connections of others alone: their tokens live elsewhere.
    let shared = this.namespace.is_empty() && !ctx.config.watch_namespaces.is_empty();
    let unused = shared && !ctx.is_used(&this);
    let before = object.status().cloned().unwrap_or_default();
    match managed::manager(&before, &ctx.config) {
        Manager::Other(other) => {
            if !unused {
                managed::leave_to(ctx, object, &other);
            }
            return Ok((Next::After(MANAGED_ELSEWHERE), None));
        }
        Manager::Nobody if unused => return Ok((Next::After(RESYNC), None)),
        Manager::This | Manager::Nobody => {}
    }
    let guarded = in_use::guard(object, ctx).await?;
    let object = match &guarded {
        Guarded::InPlace(object) => object.as_ref(),
        Guarded::InUse(_) => object,
        Guarded::Released => return Ok((Next::OnChange, None)),
        Guarded::Stale => return Ok((Next::After(STALE), None)),
    };
    if unused {
        managed::give_up(ctx, object).await?;
        return Ok((Next::After(RESYNC), None));
    }
    announce_key_loss(object, ctx, &this).await;
    let key = ctx.key.borrow().clone();
    let key = match key {
        KeyState::Loaded(key) => key,
        KeyState::Unknown => {
            let reason = Reason::BindingKeyMissing;
            return Ok((Next::Retry(KEY_WAIT), Some(reason)));
        }
        KeyState::Missing(message) => {
            return without_key(object, ctx, &before, message.to_string()).await;
        }
    };
    let (mut condition, availability) = match resolve(object, ctx, &key, &before).await? {
        Ok(connection) => health(ctx, &this, &key, connection).await,
        Err(condition) => {
            let message = this.not_ready(condition.1);
            let unusable = Availability::Unusable(Reason::ConnectionNotReady, message);
            (condition, unusable)
        }
    };
    // Clients go on over it, but none is created and no secret is rotated.
    if let Some(loss) = ctx.state.key_loss.get() {
        let reason = Reason::BindingKeyMissing;
        condition = (ConditionStatus::False, reason, loss.to_string());
    }
    let ready = condition.0 == ConditionStatus::True;
    let reason = condition.1;
    let access = object.access().map(<[_]>::to_vec);
    let news = is_news(ctx, &this, access.as_deref(), &availability, ready);
    let shown = match &guarded {
        Guarded::InUse(users) => in_use::condition(users, condition.clone()),
        _ => condition.clone(),
    };
    let after = status::after(
        object,
        &before,
        &availability,
        &condition,
        &shown,
        &managed::name(&ctx.config),
    );
    let update = Update {
        access,
        unknown_outcome_policy: object.account().unknown_outcome_policy,
        vanished: matches!(reason, Reason::CredentialsNotFound | Reason::CaNotFound),
        availability,
        news,
    };
    let pending =
        matches!(&update.availability, Availability::Usable(usable) if usable.needs_probe());
    ctx.state.connections.set(&this, update);
    ctx.metrics
        .connections
        .set_reason(this.kind.as_str(), &this.namespace, &this.name, shown.1);
    if !status::write(object, ctx, &before, &after, shown).await? {
        return Ok((Next::After(STALE), None));
    }
    let longest = longest_wait(ctx, matches!(guarded, Guarded::InUse(_)));
    let uid = object.meta().uid.clone().unwrap_or_default();
    if (ready && !pending) || object.account().suspend == Some(true) {
        ctx.state.backoff.clear(&uid);
        return Ok((Next::After(RESYNC.min(longest)), None));
    }
    let delay = ctx.state.backoff.failed(&uid, 0, Duration::ZERO);
    Ok((
        Next::Retry(delay.min(LONGEST_WAIT).min(longest)),
        Some(reason).filter(|_| !ready),
    ))
}

// Nothing can be called: no recorded clientId can be checked. Without the key nothing is set up in the registry either.
async fn without_key<K: AnyConnection>(
    object: &K,
    ctx: &Context,
    before: &api::ConnectionStatus,
    message: String,
) -> Result<(Next, Option<Reason>), Error> {
    let (this, reason) = (object.key(), Reason::BindingKeyMissing);
    let unusable = Availability::Unusable(reason, message.clone());
    let condition = (ConditionStatus::False, reason, message);
    let manager = managed::name(&ctx.config);
    let after = status::after(object, before, &unusable, &condition, &condition, &manager);
    ctx.metrics
        .connections
        .set_reason(this.kind.as_str(), &this.namespace, &this.name, reason);
    status::write(object, ctx, before, &after, condition).await?;
    Ok((Next::Retry(KEY_WAIT), Some(reason)))
}

async fn announce_key_loss<K: AnyConnection>(object: &K, ctx: &Context, this: &ConnectionKey) {
    if let Some(note) = ctx.state.key_loss.take_notice(this) {
        let reason = Reason::BindingKeyMissing.as_str();
        let (about, warning) = (object.object_ref(&()), EventType::Warning);
        publish(&ctx.client, &ctx.reporter, &about, warning, reason, &note).await;
    }
}

fn longest_wait(ctx: &Context, in_use: bool) -> Duration {
    // No watch reports a changed credential: it is read every so often.
    let longest = if ctx.config.watch_secrets {
        Duration::MAX
    } else {
        ctx.config.credential_poll
    };
    if in_use {
        longest.min(COUNT_AGAIN)
    } else {
        longest
    }
}

// A probe only where there is reason for one, so that a restart sends nothing.
async fn health(
    ctx: &Context,
    this: &ConnectionKey,
    key: &BindingKey,
    connection: Arc<VendorConnection>,
) -> (ConditionUpdate, Availability) {
    let probe = connection.needs_probe() || connection.health() != Health::Ready;
    let throttled = probe
        && connection
            .probe(bound_client(ctx, this, key))
            .await
            .is_err();
    let condition = condition(&connection.health(), throttled);
    (condition, availability(this, connection))
}

// Clients are reconciled again when the connection becomes usable or ready, is replaced, or changes who may use it.
fn is_news(
    ctx: &Context,
    this: &ConnectionKey,
    access: Option<&[api::AccessRule]>,
    availability: &Availability,
    ready: bool,
) -> bool {
    let Some(before) = ctx.state.connections.get(this) else {
        return true;
    };
    let same = match (&before.availability, availability) {
        (Availability::Usable(old), Availability::Usable(new)) => {
            Arc::ptr_eq(old, new) && !(ready && new.take_recovered())
        }
        (Availability::Unusable(old, old_message), Availability::Unusable(new, message)) => {
            old == new && old_message == message
        }
        _ => false,
    };
    !same || before.access.as_deref() != access
}

fn bound_client(ctx: &Context, this: &ConnectionKey, key: &BindingKey) -> Option<ClientId> {
    let is_bound = |client: &api::OAuthClient| this.is_of(client) && bound(client, key).is_some();
    ctx.stores.iter().find_map(|stores| {
        let client = stores.clients.find(is_bound)?;
        bound(&client, key)
    })
}

/// The client that an object's status records with a valid binding. The namespace's uid is not compared: a restored object
/// holds its client before it has proven it, and no two objects share namespace and name.
pub(crate) fn bound(client: &api::OAuthClient, key: &BindingKey) -> Option<ClientId> {
    let status = client.status.as_ref()?;
    let id = ClientId::parse(status.client_id.as_deref()?)?;
    let to = Bound {
        connection: &client.spec.connection_ref,
        namespace: client.metadata.namespace.as_deref()?,
        namespace_uid: None,
        name: client.metadata.name.as_deref()?,
    };
    let verification = key.verify(to, &id, status.binding_mac.as_deref()?);
    (verification == Verification::Valid).then_some(id)
}
