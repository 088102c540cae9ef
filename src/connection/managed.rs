//! One installation per connection: two would overwrite each other's status.

use kube::ResourceExt;
use kube::api::Patch;
use provident_core::api::{ConnectionStatus, MANAGER, Reason};
use serde_json::json;
use tracing::warn;

use crate::cluster;
use crate::config::Config;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::{Error, patch_params};
use crate::state::connection_key::ConnectionKey;
use crate::state::connection_registry::{Availability, Update};

/// Who manages a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manager {
    /// This installation.
    This,
    /// None yet: the first that uses it will.
    Nobody,
    /// The installation of this name.
    Other(String),
}

/// The name of this installation. Its bindings depend on the key, so the key's Secret identifies it.
pub(super) fn name(config: &Config) -> String {
    format!("{}/{}", config.namespace, config.binding_key_secret)
}

/// Who manages the connection.
pub(super) fn manager(status: &ConnectionStatus, config: &Config) -> Manager {
    match status.managed_by.as_deref() {
        None | Some("") => Manager::Nobody,
        Some(recorded) if recorded == name(config) => Manager::This,
        Some(recorded) => Manager::Other(recorded.to_owned()),
    }
}

/// Leaves the connection to its manager, and reports that to the clients of this installation that name it.
pub(super) fn leave_to<K: AnyConnection>(ctx: &Context, object: &K, other: &str) {
    let this = object.key();
    let message = format!(
        "Connection {this} is managed by another installation of {MANAGER} ({other}), and a connection has one. Use another \
         connection; or, if that installation is gone, run: {}",
        take_over(&this)
    );
    let known = ctx.state.connections.get(&this);
    let news = !known.is_some_and(|entry| {
        matches!(&entry.availability, Availability::Unusable(_, known) if *known == message)
    });
    if news {
        warn!(
            manager = other,
            "Connection is managed by another installation, leaving it alone"
        );
    }
    let update = Update {
        access: object.access().map(<[_]>::to_vec),
        unknown_outcome_policy: object.account().unknown_outcome_policy,
        availability: Availability::Unusable(Reason::ConnectionNotReady, message),
        vanished: false,
        news,
    };
    ctx.state.connections.set(&this, update);
}

/// Lets another installation manage the connection, which no client of this one names any more.
pub(super) async fn give_up<K: AnyConnection>(ctx: &Context, object: &K) -> Result<(), Error> {
    let patch = json!({
        "metadata": { "resourceVersion": object.resource_version() },
        "status": { "managedBy": null },
    });
    let api = K::api(ctx.client.clone(), object.namespace().as_deref());
    let written = api
        .patch_status(&object.name_any(), &patch_params(), &Patch::Merge(&patch))
        .await;
    match written {
        Ok(_) => Ok(()),
        // A newer version is on its way, and with it another reconcile.
        Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn take_over(this: &ConnectionKey) -> String {
    format!(
        "kubectl patch {} --subresource=status --type merge -p '{{\"status\":{{\"managedBy\":null}}}}'",
        this.kubectl_target()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_namespace_or_another_key_is_another_installation() {
        let config = |namespace: &str, key: &str| Config {
            namespace: namespace.to_owned(),
            binding_key_secret: key.to_owned(),
            ..Config::default()
        };
        let ours = config("provident-system", "key");
        let status = |managed_by: Option<String>| ConnectionStatus {
            managed_by,
            ..ConnectionStatus::default()
        };
        assert_eq!(manager(&status(None), &ours), Manager::Nobody);
        assert_eq!(manager(&status(Some(name(&ours))), &ours), Manager::This);
        for other in [config("team-b", "key"), config("provident-system", "other")] {
            let other = name(&other);
            let found = manager(&status(Some(other.clone())), &ours);
            assert_eq!(found, Manager::Other(other));
        }
    }
}
