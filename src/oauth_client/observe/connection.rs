//! Whether the vendor may be asked for an object: its connection, the connection's state, and its access rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::{Abort, SOON};
use crate::state::connection_registry::{Availability, ConnectionEntry, ConnectionKey};
use provident_core::api::{
    self, ClusterProvidentConnection, ConnectionKind, OAuthClient, ProvidentConnection, Reason,
    UnknownOutcomePolicy,
};
use provident_core::plan::{AttemptState, AutoRetry, ConnectionFacts};
use provident_core::vendor::outcome::Ambiguity;

impl Pass {
    pub async fn observe_connection(&mut self) -> Result<(), Abort> {
        let key = ConnectionKey::of(&self.object);
        if self.key.is_none() {
            // Without the binding key no connection is made ready, and nothing is to be asked.
            let message = "The binding key is missing".to_owned();
            self.facts.connection = ConnectionFacts::Unusable(Reason::BindingKeyMissing, message);
            return Ok(());
        }
        let Some(entry) = self.ctx.connections.get(&key) else {
            self.facts.connection = self.unknown(&key).await?;
            return Ok(());
        };
        // Also where it may not be called: its URL belongs into a Secret that is still to be written.
        self.connection.clone_from(&entry.last);
        // Also while the vendor is away: what the rules say does not hang on it.
        let denied = self.denied(&entry).await?;
        match &entry.availability {
            Availability::Usable(connection) if connection.is_unreachable() => {
                let message = format!(
                    "The vendor is not reached over connection {key}, or answers with errors. This ends by itself; see {}",
                    key.command()
                );
                self.facts.connection =
                    ConnectionFacts::Unusable(Reason::VendorUnavailable, message);
            }
            Availability::Usable(connection) => {
                self.facts.breaker_open = connection.is_breaker_open();
                if let Some(denied) = denied {
                    self.facts.connection = ConnectionFacts::Denied(denied);
                }
            }
            Availability::Unusable(reason, message) => {
                let dying = self.facts.deleting && entry.vanished && entry.last.is_some();
                if !dying || !self.namespace_is_going().await? {
                    self.facts.connection = ConnectionFacts::Unusable(*reason, message.clone());
                }
            }
        }
        self.observe_retry();
        Ok(())
    }

    // A connection that its controller has not told of: there is none, or it is looked at for the first time just now.
    async fn unknown(&self, key: &ConnectionKey) -> Result<ConnectionFacts, Abort> {
        async fn there<K: AnyConnection>(
            ctx: &Context,
            key: &ConnectionKey,
        ) -> Result<bool, kube::Error> {
            let api = K::api(ctx.client.clone(), Some(&key.namespace));
            Ok(api.get_metadata_opt(&key.name).await?.is_some())
        }
        let cluster = key.kind == ConnectionKind::ClusterProvidentConnection;
        if cluster && !self.ctx.config.cluster_connections {
            let message = format!(
                "spec.connectionRef: this operator uses no {}. Name a ProvidentConnection of this namespace, or start the operator with --no-cluster-connections (chart value clusterConnections.enabled)",
                key.kind.as_str()
            );
            return Ok(ConnectionFacts::Unusable(
                Reason::ConnectionNotFound,
                message,
            ));
        }
        self.ctx.connections.poke(key);
        let there = match key.kind {
            ConnectionKind::ClusterProvidentConnection => {
                there::<ClusterProvidentConnection>(&self.ctx, key).await
            }
            ConnectionKind::ProvidentConnection => {
                there::<ProvidentConnection>(&self.ctx, key).await
            }
        };
        if there.map_err(Abort::Api)? {
            return Err(Abort::Requeue(SOON));
        }
        let message = format!(
            "spec.connectionRef: there is no {} {key}. Create it, or correct the reference",
            key.kind.as_str()
        );
        Ok(ConnectionFacts::Unusable(
            Reason::ConnectionNotFound,
            message,
        ))
    }

    // What the access rules have against this object. Where no rules apply, the account is the namespace's own: whoever
    // proves to know a client's secret may take it over.
    async fn denied(&mut self, entry: &ConnectionEntry) -> Result<Option<String>, Abort> {
        let Some(rules) = &entry.access else {
            self.may_adopt = true;
            return Ok(None);
        };
        let labels = if api::needs_labels(rules) {
            let namespaces: Api<Namespace> = Api::all(self.ctx.client.clone());
            let own = namespaces.get_metadata(&self.namespace()).await;
            own.map_err(Abort::Api)?.labels().clone()
        } else {
            BTreeMap::new()
        };
        let scopes = &self.object.spec.allowed_scopes;
        self.may_adopt = api::allows_adoption(rules, &self.namespace(), &labels);
        let allowed = api::allows(rules, &self.namespace(), &labels, scopes);
        Ok(allowed
            .err()
            .map(|denied| format!("spec.connectionRef: {denied}")))
    }

    /// Whether the connection lets the open attempt be made once more. It was asked for this once per object: an attempt
    /// that tries another one again is not tried again.
    pub fn observe_retry(&mut self) {
        let policy = self
            .ctx
            .connections
            .get(&ConnectionKey::of(&self.object))
            .map(|entry| entry.unknown_outcome_policy);
        let open = self.facts.attempt.as_ref().filter(|attempt| {
            attempt.retry_of.is_none()
                && matches!(
                    attempt.state,
                    AttemptState::Abandoned | AttemptState::Unknown(Ambiguity::NoAnswer)
                )
        });
        self.facts.auto_retry = AutoRetry::No;
        let (Some(UnknownOutcomePolicy::Retry), Some(attempt), Some(connection)) =
            (policy, open, &self.connection)
        else {
            return;
        };
        let uid = self.object.uid().unwrap_or_default();
        let wait = self.ctx.config.attempt_wait;
        self.facts.auto_retry = if !self.ctx.memory.left(&attempt.id, &uid, wait).is_zero() {
            AutoRetry::Early
        } else if connection.has_responded() && !connection.is_breaker_open() {
            AutoRetry::Due
        } else {
            connection.request_probe();
            AutoRetry::Unprobed
        };
    }

    /// Whether this is what the connection has told already, in an event of its own: five thousand clients do not repeat it.
    pub fn is_the_connections(&self, reason: Reason) -> bool {
        let told = match &self.facts.connection {
            ConnectionFacts::Unusable(told, _) => *told,
            ConnectionFacts::Usable | ConnectionFacts::Denied(_) => return false,
        };
        told == reason && told != Reason::ConnectionNotFound && !self.facts.deleting
    }

    /// Asks for the connection to be looked at.
    pub fn poke(&self) {
        self.ctx.connections.poke(&ConnectionKey::of(&self.object));
    }
}

/// When to begin at all with an object that needs a turn of its connection before anything else, if others of its
/// namespace are before it in great number.
pub(crate) fn crowded(ctx: &Context, object: &OAuthClient) -> Option<Duration> {
    let status = object.status.as_ref();
    let begun = status.is_some_and(|s| s.client_id.is_some() || s.create_attempt.is_some());
    if begun || object.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let entry = ctx.connections.get(&ConnectionKey::of(object))?;
    let Availability::Usable(connection) = &entry.availability else {
        return None;
    };
    connection
        .limiter
        .reserve_retry_slot(object.metadata.namespace.as_deref()?)
}

/// What a late answer's client may be deactivated with.
pub(crate) fn for_a_late_answer(
    ctx: &Context,
    key: &ConnectionKey,
) -> Option<Arc<crate::vendor::connection::VendorConnection>> {
    let entry = ctx.connections.get(key)?;
    match &entry.availability {
        Availability::Usable(connection) => Some(Arc::clone(connection)),
        Availability::Unusable(..) => entry.last.clone().filter(|_| entry.vanished),
    }
}
