//! Keeps a connection until the clients that were created over it are gone.
//!
//! `kubectl delete -f` and Argo CD delete a connection before the clients in the same file. Without the connection none of them
//! could be deactivated, so a finalizer holds it back.

use std::borrow::Cow;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch};
use kube::runtime::watcher::Event;
use kube::{Api, ResourceExt};
use provident_core::api::{ConditionStatus, IN_USE_FINALIZER, OAuthClient, Reason};
use provident_core::plan::ConditionUpdate;
use serde_json::json;
use tracing::{info, warn};

use crate::cluster::{self, LenientObject};
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::{Error, patch_params};
use crate::state::connection_key::ConnectionKey;
use crate::state::connection_registry::Protection;

/// A message names this many clients.
const NAMED: usize = 3;

/// What became of a connection's finalizer.
pub(super) enum Guarded<'a, K: Clone> {
    /// The connection may be used; the object is as it was last written.
    InPlace(Cow<'a, K>),
    /// It is being deleted, and these clients still need it.
    InUse(Vec<String>),
    /// It is being deleted, and the finalizer is gone.
    Released,
    /// The view was stale.
    Stale,
}

/// Sets the finalizer on a connection that a client names, and removes it when none needs it any more.
pub(super) async fn guard<'a, K: AnyConnection>(
    object: &'a K,
    ctx: &Context,
) -> Result<Guarded<'a, K>, Error> {
    let (this, registry) = (object.key(), &ctx.state.connections);
    let guarded = object.finalizers().iter().any(|f| f == IN_USE_FINALIZER);
    if object.meta().deletion_timestamp.is_some() {
        // Before the clients are listed: from here on nothing new is created over it.
        registry.protect(&this, Protection::Terminating);
        return if guarded {
            release(object, ctx, &this).await
        } else {
            Ok(Guarded::InPlace(Cow::Borrowed(object)))
        };
    }
    // Before the clients are counted: one that appears afterwards triggers another reconcile.
    registry.protect(&this, Protection::None);
    let used = ctx.is_used(&this);
    if guarded && used {
        registry.protect(&this, Protection::Finalizer);
    }
    if guarded == used {
        return Ok(Guarded::InPlace(Cow::Borrowed(object)));
    }
    Ok(match write(object, ctx, used).await? {
        Written::Done(written) => {
            if used {
                registry.protect(&this, Protection::Finalizer);
            }
            Guarded::InPlace(Cow::Owned(*written))
        }
        Written::Refused => Guarded::InPlace(Cow::Borrowed(object)),
        Written::Gone => Guarded::Released,
        Written::Stale => Guarded::Stale,
    })
}

async fn release<'a, K: AnyConnection>(
    object: &K,
    ctx: &Context,
    this: &ConnectionKey,
) -> Result<Guarded<'a, K>, Error> {
    let users = users(ctx, this);
    let needed = if users.is_empty() {
        // The watch may not have shown the last claim yet.
        live_users(ctx, this).await?
    } else {
        users
    };
    if !needed.is_empty() && !crd_is_terminating::<K>(ctx).await? {
        return Ok(Guarded::InUse(needed));
    }
    Ok(match write(object, ctx, false).await? {
        Written::Done(_) | Written::Gone => {
            info!("Released the connection: no client needs it");
            Guarded::Released
        }
        Written::Refused => Guarded::InUse(needed),
        Written::Stale => Guarded::Stale,
    })
}

/// The condition of a connection whose deletion waits. What else is wrong with it stays visible: it keeps the clients.
pub(super) fn condition(users: &[String], health: ConditionUpdate) -> ConditionUpdate {
    let named = users
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match users.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (count, plural) = (users.len(), if users.len() == 1 { "" } else { "s" });
    let message = format!(
        "Deletion waits: the connection is in use by {count} client{plural}: {named}{more}. Nothing is created over it any more. \
         Delete these OAuthClients; the connection is deleted once they are gone"
    );
    match health {
        (ConditionStatus::True, ..) => (ConditionStatus::False, Reason::InUse, message),
        (status, reason, why) => (status, reason, format!("{why}. {message}")),
    }
}

/// Takes in an event of the watch of clients, which is in the store by now: the first client of a connection, or the end of
/// its last one, triggers the connection.
pub(crate) fn observe_client(ctx: &Context, event: &Event<OAuthClient>) {
    let (object, deleted) = match event {
        Event::Apply(object) | Event::InitApply(object) => (object, false),
        Event::Delete(object) => (object, true),
        Event::Init | Event::InitDone => return,
    };
    let key = ConnectionKey::of(object);
    let registry = &ctx.state.connections;
    let due = match registry.protection(&key) {
        // Its first reconcile is still to come.
        None => false,
        Some(Protection::None) => !deleted,
        Some(Protection::Finalizer) => deleted && !ctx.is_used(&key),
        Some(Protection::Terminating) => !ctx.stores.iter().any(|stores| {
            let user = |client: &OAuthClient| key.is_of(client) && needs(client);
            stores.clients.find(user).is_some()
        }),
    };
    if due {
        registry.trigger(&key);
    }
}

// A client needs its connection as long as there is something at the vendor to deactivate. Merely naming a connection, which
// any tenant can, holds nothing back.
pub(crate) fn needs(client: &OAuthClient) -> bool {
    let status = client.status.as_ref();
    status.is_some_and(|s| s.client_id.is_some() || s.create_attempt.is_some())
}

fn name(client: &impl ResourceExt) -> String {
    let namespace = client.namespace().unwrap_or_default();
    format!("{namespace}/{}", client.name_any())
}

fn users(ctx: &Context, this: &ConnectionKey) -> Vec<String> {
    let all = ctx.stores.iter().flat_map(|stores| stores.clients.state());
    let users = all.filter(|client| this.is_of(client) && needs(client));
    let mut names: Vec<String> = users.map(|client| name(client.as_ref())).collect();
    names.sort();
    names
}

async fn live_users(ctx: &Context, this: &ConnectionKey) -> Result<Vec<String>, Error> {
    let selector = format!(
        "spec.connectionRef.kind={},spec.connectionRef.name={}",
        this.kind.as_str(),
        this.name
    );
    let params = ListParams::default().fields(&selector);
    let apis: Vec<Api<LenientObject<OAuthClient>>> = match this.namespace.as_str() {
        "" => ctx.watched(),
        namespace => vec![Api::namespaced(ctx.client.clone(), namespace)],
    };
    let mut names = Vec::new();
    for api in apis {
        let list = api.list(&params).await?;
        let users = list.iter().filter(|client| match &client.0 {
            Ok(client) => needs(client),
            // It may have a client even so.
            Err(invalid) => {
                !invalid.status["clientId"].is_null() || !invalid.status["createAttempt"].is_null()
            }
        });
        names.extend(users.map(name));
    }
    Ok(names)
}

// Whoever deletes the definition means all its objects, and would wait for ever for clients that stay.
async fn crd_is_terminating<K: AnyConnection>(ctx: &Context) -> Result<bool, Error> {
    let all: Api<CustomResourceDefinition> = Api::all(ctx.client.clone());
    let terminating = cluster::is_terminating(&all, K::crd_name()).await?;
    Ok(terminating.unwrap_or(false))
}

enum Written<K> {
    Done(Box<K>),
    Refused,
    Gone,
    Stale,
}

// Guarded by resourceVersion, so that a stale view never sets or removes a finalizer.
async fn write<K: AnyConnection>(
    object: &K,
    ctx: &Context,
    guarded: bool,
) -> Result<Written<K>, Error> {
    let others = object.finalizers().iter().map(String::as_str);
    let mut finalizers: Vec<&str> = others.filter(|f| *f != IN_USE_FINALIZER).collect();
    if guarded {
        finalizers.push(IN_USE_FINALIZER);
    }
    let patch = json!({ "metadata": {
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    let api = K::api(ctx.client.clone(), object.namespace().as_deref());
    let written = api
        .patch(&object.name_any(), &patch_params(), &Patch::Merge(&patch))
        .await;
    match written {
        Ok(written) => Ok(Written::Done(Box::new(written))),
        Err(error) if cluster::is_conflict(&error) => Ok(Written::Stale),
        Err(error) if cluster::is_not_found(&error) => Ok(Written::Gone),
        Err(error) if cluster::refusal(&error).is_some() => {
            let error = cluster::describe(&error);
            warn!(
                error,
                "Not allowed to write the finalizer {IN_USE_FINALIZER}. Upgrade the operator's roles with its chart"
            );
            Ok(Written::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("shop/c{i}")).collect()
    }

    #[test]
    fn a_deletion_that_waits_names_its_clients() {
        let ready = || (ConditionStatus::True, Reason::Available, String::new());
        let (status, reason, message) = condition(&names(1), ready());
        assert_eq!((status, reason), (ConditionStatus::False, Reason::InUse));
        assert!(
            message.contains("in use by 1 client: shop/c0. "),
            "{message}"
        );
        let (_, _, message) = condition(&names(5), ready());
        let words = "in use by 5 clients: shop/c0, shop/c1, shop/c2 and 2 more. ";
        assert!(message.contains(words), "{message}");
    }

    #[test]
    fn it_does_not_hide_why_the_clients_cannot_be_deactivated() {
        let health = (
            ConditionStatus::False,
            Reason::CredentialsNotFound,
            "spec.auth: there is no Secret".to_owned(),
        );
        let (status, reason, message) = condition(&names(1), health);
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::CredentialsNotFound)
        );
        assert!(
            message.starts_with("spec.auth: there is no Secret. Deletion waits"),
            "{message}"
        );
    }
}
