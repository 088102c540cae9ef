//! What somebody who holds the operator's token can do. RBAC grants verbs; the chart's admission policies grant objects, and
//! they do so even where RBAC grants too much: most attacks here are made with every right there is.

mod objects;
mod own_namespace;
mod secrets;

use harness::ControlPlane;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use provident_core::api::{MANAGED_LABEL, MANAGER};
use serde_json::{Value, json};

use crate::rights::user;
use crate::world::World;

const ALLOW_ADOPTION: &str = "oauth.provident.ae/allow-adoption";
/// What every refusal of a foreign Secret says.
const NOT_OURS: &str = "changes only Secrets that are an OAuthClient's already";
/// The uid of no object.
const NO_UID: &str = "00000000-0000-4000-8000-000000000000";

impl World {
    /// The operator's own account, as its token gives it.
    fn operator_account(&self) -> Client {
        Client::try_from(self.config.clone()).unwrap()
    }

    /// The same account with every right that RBAC can grant.
    async fn operator_account_with_all_rights(&self) -> Client {
        let mut config = ControlPlane::shared().await.unwrap().client_config();
        config.auth_info.impersonate = Some(user(&self.system));
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
        Client::try_from(config).unwrap()
    }

    async fn put_secret_of(&self, namespace: &str, name: &str, metadata: Value) -> Secret {
        let mut secret = json!({ "metadata": metadata, "stringData": { "password": "theirs" } });
        secret["metadata"]["name"] = name.into();
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap()
    }
}

/// Owner references with an `OAuthClient` as the controller.
fn owned_by(name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient", "name": name, "uid": uid, "controller": true,
    }])
}

/// `secret` as an intruder would have it: labelled, owned and with other content.
fn seized(secret: &Secret, owners: &Value) -> Secret {
    let mut seized = serde_json::to_value(secret).unwrap();
    seized["metadata"]["labels"][MANAGED_LABEL] = MANAGER.into();
    seized["metadata"]["ownerReferences"] = owners.clone();
    seized["stringData"] = json!({ "password": "ours" });
    serde_json::from_value(seized).unwrap()
}

async fn replace(client: &Client, secret: &Secret) -> Result<Secret, kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace().unwrap());
    let name = secret.name_any();
    secrets.replace(&name, &PostParams::default(), secret).await
}

async fn merge_patch(
    client: &Client,
    secret: &Secret,
    patch: &Value,
) -> Result<Secret, kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &secret.namespace().unwrap());
    let params = PatchParams::default();
    secrets
        .patch(&secret.name_any(), &params, &Patch::Merge(patch))
        .await
}

/// The request was refused by a policy, with these words.
fn is_denied<T: std::fmt::Debug>(what: &str, result: Result<T, kube::Error>, words: &str) {
    match result {
        Err(kube::Error::Api(status)) if status.message.contains(words) => {}
        other => panic!("{what}: expected a refusal with {words:?}, got {other:?}"),
    }
}

// Every way to write an existing Secret, with the operator's rights and with all rights.
async fn is_not_seized(world: &World, what: &str, secret: &Secret, owners: &Value, words: &str) {
    let (account, unlimited) = (
        world.operator_account(),
        world.operator_account_with_all_rights().await,
    );
    let seized = seized(secret, owners);
    is_denied(what, replace(&unlimited, &seized).await, words);
    if secret.namespace().as_deref() == Some(&world.namespace) {
        is_denied(what, replace(&account, &seized).await, words);
    }
    let wanted = json!({
        "metadata": { "labels": { MANAGED_LABEL: MANAGER }, "ownerReferences": owners },
        "stringData": { "password": "ours" },
    });
    let patched = merge_patch(&unlimited, secret, &wanted).await;
    is_denied(what, patched, words);
    let mut applied = wanted;
    applied["apiVersion"] = "v1".into();
    applied["kind"] = "Secret".into();
    let secrets: Api<Secret> = Api::namespaced(unlimited, &secret.namespace().unwrap());
    let params = PatchParams::apply("intruder").force();
    let applied = secrets
        .patch(&secret.name_any(), &params, &Patch::Apply(&applied))
        .await;
    is_denied(what, applied, words);
    let api: Api<Secret> = Api::namespaced(world.client.clone(), &secret.namespace().unwrap());
    let now = api.get(&secret.name_any()).await.unwrap();
    assert_eq!(now.resource_version(), secret.resource_version(), "{what}");
}
