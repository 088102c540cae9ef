//! What must be true at the end, whatever failed before.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;

use super::churn::{Churn, HELD, redirect_uri};
use crate::bench::{
    test_env::{NAMESPACE, TestEnv, text},
    witness::Witness,
};

/// Compares objects, Secrets and the vendor's clients. Returns a line for each broken promise.
pub async fn check(env: &TestEnv, witness: &Witness, churn: &Churn) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let clients = env.vendor.clients().await?;
    let secrets: Api<Secret> = Api::namespaced(env.client.clone(), NAMESPACE);
    let secrets: BTreeMap<String, Secret> = secrets
        .list(&ListParams::default())
        .await?
        .into_iter()
        .map(|secret| (secret.name_any(), secret))
        .collect();
    let prefix = format!("{NAMESPACE}-");

    let mut by_name: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for client in &clients {
        let name = text(client, "/name").trim_start_matches(prefix.as_str());
        by_name.entry(name).or_default().push(client);
    }
    for (name, clients) in &by_name {
        if clients.len() > 1 {
            broken.push(format!("{name} was created {} times", clients.len()));
        }
        for client in clients {
            let recorded = witness
                .object(name)
                .is_some_and(|object| object.client_id == text(client, "/clientId"));
            let active = client["isActive"] == true;
            if active && !recorded && !churn.was_held(name) {
                broken.push(format!(
                    "{name}: a client is active at the vendor but no object records it"
                ));
            }
        }
    }

    for (name, asked) in churn.asked() {
        let Some(object) = witness.object(name) else {
            broken.push(format!("{name}: the object is missing"));
            continue;
        };
        if object.reason == HELD {
            continue;
        }
        let client = clients
            .iter()
            .find(|client| text(client, "/clientId") == object.client_id);
        let (Some(client), Some(secret)) = (client, secrets.get(name)) else {
            broken.push(format!(
                "{name} is Ready, but its client or its Secret is missing"
            ));
            continue;
        };
        if client["redirectUris"][0] != redirect_uri(*asked) {
            broken.push(format!(
                "{name} is Ready, but the vendor's redirectUris are {}",
                client["redirectUris"]
            ));
        }
        for key in ["clientId", "clientSecret"] {
            let held = secret.data.as_ref().and_then(|data| data.get(key));
            if held.is_none_or(|held| held.0 != text(client, &format!("/{key}")).as_bytes()) {
                broken.push(format!(
                    "{name} is Ready, but its Secret and the vendor have different values of {key}"
                ));
            }
        }
    }
    for name in secrets
        .keys()
        .filter(|name| name.starts_with("soak-") && !churn.asked().contains_key(*name))
    {
        broken.push(format!(
            "{name}: the object is gone, but its Secret still exists"
        ));
    }
    Ok(broken)
}
