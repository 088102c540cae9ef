//! Whether vendor requests are allowed for an object: its connection, the connection's state, and its access rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use provident_core::api::{
    self, ClusterProvidentConnection, ConnectionKind, OAuthClient, ProvidentConnection, Reason,
    UnknownOutcomePolicy,
};
use provident_core::plan::{Attempt, AttemptState, AutoRetry, ConnectionFacts};
use provident_core::vendor::outcome::Ambiguity;

use super::terminating::namespace_is_terminating;
use crate::connection::in_use::needs;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::oauth_client::held::Held;
use crate::oauth_client::{Abort, SOON};
use crate::state::binding_key::KeyState;
use crate::state::connection_key::ConnectionKey;
use crate::state::connection_registry::{Availability, ConnectionEntry};
use crate::vendor::connection::VendorConnection;

/// What an object's connection means for it.
pub(crate) struct Observed {
    pub facts: ConnectionFacts,
    pub breaker_open: bool,
    pub auto_retry: AutoRetry,
}

/// Looks up the connection. `held` gets what requests are sent with.
pub(crate) async fn observe_connection(
    held: &mut Held,
    attempt: Option<&Attempt>,
    deleting: bool,
) -> Result<Observed, Abort> {
    let key = held.connection_key();
    let unusable = |reason, message| Observed {
        facts: ConnectionFacts::Unusable(reason, message),
        breaker_open: false,
        auto_retry: AutoRetry::No,
    };
    if held.key.is_none() {
        // Without the binding key no connection is set up.
        let message = match &*held.ctx.key.borrow() {
            KeyState::Missing(message) => message.to_string(),
            KeyState::Unknown | KeyState::Loaded(_) => "The binding key is missing".to_owned(),
        };
        return Ok(unusable(Reason::BindingKeyMissing, message));
    }
    let Some(entry) = held.ctx.state.connections.get(&key) else {
        let message = not_found(held, &key).await?;
        held.connection_lost = deleting && is_lost_with_namespace(held, &key).await?;
        return Ok(unusable(Reason::ConnectionNotFound, message));
    };
    // Also where no request is allowed: its URL belongs in a Secret that is still to be written.
    held.connection.clone_from(&entry.last);
    // Also while the vendor is unreachable: the access rules do not depend on it.
    let denied = denied(held, &entry).await?;
    let terminating = held.ctx.state.connections.is_terminating(&key);
    let status = held.object.status.as_ref();
    let without_client = !deleting && status.is_none_or(|status| status.client_id.is_none());
    let (facts, breaker_open) = match &entry.availability {
        Availability::Usable(connection) if connection.is_unreachable() => {
            let message = format!(
                "The vendor is unreachable over connection {key}, or answers with errors. The operator retries automatically; see {}",
                key.command()
            );
            let facts = ConnectionFacts::Unusable(Reason::VendorUnavailable, message);
            (facts, false)
        }
        Availability::Usable(_) if without_client && terminating => {
            let message = format!(
                "Connection {key} is being deleted, so nothing is created over it. Create another connection; see {}",
                key.command()
            );
            let facts = ConnectionFacts::Unusable(Reason::ConnectionNotReady, message);
            (facts, false)
        }
        Availability::Usable(connection) => {
            let facts = denied.map_or(ConnectionFacts::Usable, ConnectionFacts::Denied);
            (facts, connection.is_breaker_open())
        }
        Availability::Unusable(reason, message) => {
            // A namespace that is being deleted must not hang because its connection died first, nor a connection that is
            // deleted with its Secret and its clients.
            let vanished = deleting && entry.vanished;
            // A credential that the vendor refuses is as good as none, and a dying namespace takes no other.
            let usable = entry.last.as_ref().is_some_and(|last| last.is_usable());
            let facts =
                if vanished && usable && (terminating || namespace_is_terminating(held).await?) {
                    ConnectionFacts::Usable
                } else {
                    held.connection_lost =
                        vanished && !usable && is_lost_with_namespace(held, &key).await?;
                    ConnectionFacts::Unusable(*reason, message.clone())
                };
            (facts, false)
        }
    };
    Ok(Observed {
        facts,
        breaker_open,
        auto_retry: auto_retry(held, &entry, attempt),
    })
}

// Only a namespaced connection dies with its namespace, where nothing can be created again.
async fn is_lost_with_namespace(held: &Held, key: &ConnectionKey) -> Result<bool, Abort> {
    Ok(key.kind == ConnectionKind::ProvidentConnection && namespace_is_terminating(held).await?)
}

// A connection that is not in the registry: it does not exist, or its controller is about to reconcile it.
async fn not_found(held: &Held, key: &ConnectionKey) -> Result<String, Abort> {
    async fn exists<K: AnyConnection>(ctx: &Context, key: &ConnectionKey) -> Result<bool, Abort> {
        let api = K::api(ctx.client.clone(), Some(&key.namespace));
        let found = api.get_metadata_opt(&key.name).await;
        Ok(found.map_err(Abort::Api)?.is_some())
    }
    let ctx = &held.ctx;
    let cluster = key.kind == ConnectionKind::ClusterProvidentConnection;
    if cluster && !ctx.config.cluster_connections {
        return Ok(format!(
            "spec.connectionRef: this operator does not serve {} objects. Use a ProvidentConnection of this namespace, or start \
             the operator without --no-cluster-connections (chart value clusterConnections.enabled)",
            key.kind.as_str()
        ));
    }
    ctx.state.connections.trigger(key);
    let exists = match key.kind {
        ConnectionKind::ClusterProvidentConnection => {
            exists::<ClusterProvidentConnection>(ctx, key).await
        }
        ConnectionKind::ProvidentConnection => exists::<ProvidentConnection>(ctx, key).await,
    };
    if exists? {
        return Err(Abort::Requeue(SOON));
    }
    Ok(format!(
        "spec.connectionRef: {} {key} does not exist. Create it, or correct the reference",
        key.kind.as_str()
    ))
}

// Why the access rules deny this object. Without rules the account is the namespace's own, and whoever proves to know a
// client's secret may adopt it.
async fn denied(held: &mut Held, entry: &ConnectionEntry) -> Result<Option<String>, Abort> {
    let Some(rules) = &entry.access else {
        held.may_adopt = true;
        return Ok(None);
    };
    let namespace = held.namespace();
    let labels = if api::needs_labels(rules) {
        let namespaces: Api<Namespace> = Api::all(held.ctx.client.clone());
        let own = namespaces.get_metadata(&namespace).await;
        own.map_err(Abort::Api)?.metadata.labels.unwrap_or_default()
    } else {
        BTreeMap::new()
    };
    held.may_adopt = api::allows_adoption(rules, &namespace, &labels);
    let scopes = &held.object.spec.allowed_scopes;
    let allowed = api::allows(rules, &namespace, &labels, scopes);
    Ok(allowed
        .err()
        .map(|denied| format!("spec.connectionRef: {denied}")))
}

/// Whether the connection's policy retries the open attempt: once per object, so never an attempt that is itself a retry.
pub(crate) fn auto_retry(
    held: &Held,
    entry: &ConnectionEntry,
    attempt: Option<&Attempt>,
) -> AutoRetry {
    let open = attempt.filter(|attempt| match attempt.state {
        AttemptState::Abandoned | AttemptState::Unknown(Ambiguity::NoAnswer) => {
            attempt.retry_of.is_none()
        }
        _ => false,
    });
    let (UnknownOutcomePolicy::Retry, Some(attempt), Some(connection)) =
        (entry.unknown_outcome_policy, open, &held.connection)
    else {
        return AutoRetry::No;
    };
    let wait = held.ctx.config.attempt_wait;
    let attempts = &held.ctx.state.attempts;
    if !attempts
        .watch_foreign(&attempt.id, &held.uid(), wait)
        .is_zero()
    {
        AutoRetry::Early
    } else if connection.has_responded() && !connection.is_breaker_open() {
        AutoRetry::Due
    } else {
        connection.request_probe();
        AutoRetry::Unprobed
    }
}

/// How long to put off an object that needs a permit before anything else, when many others of its namespace wait already.
pub(crate) fn reserve_create_slot(ctx: &Context, object: &OAuthClient) -> Option<Duration> {
    if needs(object) || object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let entry = ctx.state.connections.get(&ConnectionKey::of(object))?;
    let Availability::Usable(connection) = &entry.availability else {
        return None;
    };
    connection
        .limiter
        .reserve_retry_slot(object.metadata.namespace.as_deref()?)
}

/// The connection over which an orphaned client is deactivated.
pub(crate) fn connection_for_orphan(
    ctx: &Context,
    key: &ConnectionKey,
) -> Option<Arc<VendorConnection>> {
    let entry = ctx.state.connections.get(key)?;
    match &entry.availability {
        Availability::Usable(connection) => Some(Arc::clone(connection)),
        Availability::Unusable(..) => entry.last.clone().filter(|_| entry.vanished),
    }
}
