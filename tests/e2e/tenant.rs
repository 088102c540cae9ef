//! A tenant with every right in its own namespace, status included, and what becomes of the binding key.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use provident_core::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_LABEL, MANAGER, OAuthClient, Reason,
};
use provident_emulator::{Fault, Operation, Rule};
use serde_json::{Value, json};

use crate::world::{TOKEN_SECRET, World, ready};

const KEY_SECRET: &str = "provident-operator-binding-key";

impl World {
    fn system_secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.system)
    }

    async fn put_key(&self, data: Value) {
        let mut secret = json!({ "metadata": { "name": KEY_SECRET }, "immutable": true });
        secret
            .as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.system_secrets()
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    async fn lose_key(&self) -> Secret {
        let key = self.system_secrets().get(KEY_SECRET).await.unwrap();
        let params = DeleteParams::default();
        self.system_secrets()
            .delete(KEY_SECRET, &params)
            .await
            .unwrap();
        key
    }

    /// What was asked about this client, a create's answer aside.
    fn asked_about(&self, client_id: &str) -> usize {
        let about = |call: &provident_emulator::Call| {
            call.operation != Operation::Create && call.client_id.as_deref() == Some(client_id)
        };
        self.emulator
            .calls()
            .iter()
            .filter(|call| about(call))
            .count()
    }

    /// An edit, so that the object is reconciled and its client would have to be asked for.
    async fn touch(&self, name: &str, lifetime: i32) {
        let edit = json!({ "spec": { "tokenLifetimeSeconds": lifetime } });
        self.patch(name, edit).await;
    }
}

#[tokio::test]
async fn s08_a_secret_copied_with_its_binding_opens_nothing_elsewhere() {
    let mut world = World::start().await;
    let other = crate::world::create_namespace(&world.client, "e2e-thief-").await;
    world.watch_too(&other).await;
    let rules = json!([{ "namespaces": [world.namespace, other], "scopes": ["*"] }]);
    world.edit_connection(json!({ "access": rules })).await;
    let _operator = world.start_operator();
    world.declare("victim", json!({})).await;
    let client_id = world.until_ready("victim").await;
    let asked = world.asked_about(&client_id);

    // The very Secret, metadata and all, in a namespace of one's own, for an object of the same name.
    let stolen = world.secret("victim").await.unwrap();
    let copy = |name: &str| -> Secret {
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": stolen.labels(), "annotations": stolen.annotations() },
            "data": stolen.data,
        }))
        .unwrap()
    };
    let theirs: Api<Secret> = Api::namespaced(world.client.clone(), &other);
    let create = PostParams::default();
    theirs.create(&create, &copy("victim")).await.unwrap();
    let objects: Api<OAuthClient> = Api::namespaced(world.client.clone(), &other);
    let object: OAuthClient = serde_json::from_value(json!({
        "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient", "metadata": { "name": "victim" },
        "spec": {
            "allowedScopes": ["listings:read"],
            "connectionRef": { "kind": "ClusterProvidentConnection", "name": world.connection },
        },
    }))
    .unwrap();
    objects.create(&create, &object).await.unwrap();
    world
        .eventually("the copy is refused", async || {
            let object = objects.get("victim").await.unwrap();
            ready(&object).is_some_and(|ready| ready.reason == Reason::BindingMismatch.as_str())
        })
        .await;
    // And under another name in the same namespace.
    world
        .secrets()
        .create(&create, &copy("thief"))
        .await
        .unwrap();
    world.declare("thief", json!({})).await;
    world.until_reason("thief", Reason::BindingMismatch).await;
    world.silence().await;
    assert_eq!(world.asked_about(&client_id), asked);
    assert_eq!(world.creates("thief").len(), 0);
    world.check().await;
}

#[tokio::test]
async fn s08_a_binding_made_behind_one_connection_is_worth_nothing_behind_another() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("victim", json!({})).await;
    let client_id = world.until_ready("victim").await;
    let binding = world.get("victim").await.status.unwrap().binding_mac;
    world.create_own_connection("own").await;
    world.delete_without_vendor("victim").await;
    let asked = world.asked_about(&client_id);
    world
        .secrets()
        .delete("victim", &DeleteParams::default())
        .await
        .unwrap();
    let own = json!({ "connectionRef": { "kind": "ProvidentConnection", "name": "own" }, "suspend": true });
    world.declare("victim", own).await;
    let forged = json!({ "clientId": client_id, "bindingMAC": binding });
    world.patch_status("victim", forged).await;
    world
        .patch("victim", json!({ "spec": { "suspend": false } }))
        .await;
    world.until_reason("victim", Reason::BindingMismatch).await;
    world.silence().await;
    assert_eq!(world.asked_about(&client_id), asked);
    world.check().await;
}

#[tokio::test]
async fn s08_a_client_id_with_path_characters_is_never_sent() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    world.until_ready("storefront").await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    let forged = ["../token", "a/rotate-secret", "..", "a?b", "%2e%2e"];
    for (forged, lifetime) in forged.into_iter().zip([86400, 43200].into_iter().cycle()) {
        world
            .patch_status("storefront", json!({ "clientId": forged }))
            .await;
        world.touch("storefront", lifetime).await;
        world
            .until_reason("storefront", Reason::BindingMismatch)
            .await;
    }
    world.silence().await;
    assert_eq!(world.emulator.calls().len(), calls);
    assert_eq!(world.emulator.count(Operation::Undocumented), 0);
    world.check().await;
}

#[tokio::test]
async fn a_scope_that_is_edited_in_later_is_not_asked_for() {
    let world = World::start().await;
    let rules = json!([{ "namespaces": [world.namespace], "scopes": ["listings:read"] }]);
    world.edit_connection(json!({ "access": rules })).await;
    let _operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    let client_id = world.until_ready("storefront").await;
    let version = world.secret("storefront").await.unwrap().resource_version();
    let asked = world.asked_about(&client_id);
    let more = json!({ "spec": { "allowedScopes": ["listings:read", "orders:write"] } });
    world.patch("storefront", more).await;
    let message = world.until_reason("storefront", Reason::AccessDenied).await;
    assert!(message.contains("orders:write"), "{message}");
    world.silence().await;
    assert_eq!(world.asked_about(&client_id), asked, "not even read");
    let vendors = world.emulator.client(&client_id).unwrap();
    assert_eq!(vendors.allowed_scopes, ["listings:read"]);
    let secret = world.secret("storefront").await.unwrap();
    assert_eq!(secret.resource_version(), version);
    world.check().await;
}

#[tokio::test]
async fn a_vendor_that_answers_another_tenants_client_to_a_create_gives_nobody_its_secret() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("victim", json!({})).await;
    let client_id = world.until_ready("victim").await;
    world.emulator.faults().add(Rule {
        operation: Operation::Create,
        client: Some(world.vendor_name("thief")),
        fault: Fault::ExistingClient(client_id.clone()),
        every: None,
        count: None,
    });
    world.declare("thief", json!({})).await;
    world
        .until_reason("thief", Reason::ExistingClientReturned)
        .await;
    assert!(world.secret("thief").await.is_none());
    world.delete("thief").await;
    world.until_gone("thief").await;
    world.silence().await;
    assert!(world.emulator.client(&client_id).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn a_lost_binding_key_stops_all_but_retained_deletions_and_its_return_mends_all() {
    let world = World::start().await;
    let operator = world.start_operator();
    for name in ["stays", "leaves"] {
        world.declare(name, json!({})).await;
        world.until_ready(name).await;
    }
    operator.crash().await;
    let key = world.lose_key().await;
    let calls = world.emulator.calls().len();
    let _operator = world.start_operator();
    world.declare("new", json!({})).await;
    for (name, lifetime) in [("stays", 86400), ("leaves", 86400), ("new", 86400)] {
        world.touch(name, lifetime).await;
        let message = world.until_reason(name, Reason::BindingKeyMissing).await;
        assert!(message.contains("backup"), "{message}");
    }
    let retain = json!({ "spec": { "deletionPolicy": "Retain" } });
    world.patch("leaves", retain).await;
    world.delete("leaves").await;
    world.until_gone("leaves").await;
    assert_eq!(world.emulator.calls().len(), calls, "nothing is touched");
    let remade = world.system_secrets().get_opt(KEY_SECRET).await.unwrap();
    assert!(remade.is_none(), "no new key over old bindings");

    world.put_key(json!({ "data": key.data })).await;
    for name in ["stays", "new"] {
        world.until_ready(name).await;
    }
    world.check().await;
}

#[tokio::test]
async fn a_rotated_binding_key_makes_mismatches_and_orphans_nothing_in_silence() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    let client_id = world.until_ready("storefront").await;
    operator.crash().await;
    world.lose_key().await;
    let other = json!({ "stringData": { "key": "another key, of thirty-two bytes" } });
    world.put_key(other).await;
    let asked = world.asked_about(&client_id);
    let _operator = world.start_operator();
    world.touch("storefront", 86400).await;
    world
        .until_reason("storefront", Reason::BindingMismatch)
        .await;
    world.silence().await;
    assert_eq!(world.asked_about(&client_id), asked);
    assert_eq!(world.creates("storefront").len(), 1);
    assert!(world.emulator.client(&client_id).unwrap().is_active);
    assert!(world.secret("storefront").await.is_some());
    world.check().await;
}

#[tokio::test]
async fn two_first_starts_at_once_agree_on_one_binding_key() {
    let world = World::start().await;
    let (one, two) = (world.start_operator(), world.start_operator());
    let names: Vec<_> = (0..4).map(|index| format!("client-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    one.crash().await;
    two.crash().await;
    // What either of them bound, a third one believes.
    let _operator = world.start_operator();
    for name in &names {
        world.touch(name, 86400).await;
        world.until_ready(name).await;
    }
    world.check().await;
}

#[tokio::test]
async fn a_token_secret_is_never_taken_for_a_generated_one() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.create_own_connection("own").await;
    let before = world.secret(TOKEN_SECRET).await.unwrap();
    let own = json!({
        "connectionRef": { "kind": "ProvidentConnection", "name": "own" },
        "secret": { "name": TOKEN_SECRET },
    });
    world.declare("storefront", own).await;
    world
        .until_reason("storefront", Reason::SecretConflict)
        .await;
    let after = world.secret(TOKEN_SECRET).await.unwrap();
    assert_eq!(after.resource_version(), before.resource_version());

    // No label and no made-up binding makes it ours.
    let forged = json!({ "metadata": {
        "labels": { MANAGED_LABEL: MANAGER },
        "annotations": { CLIENT_ID_ANNOTATION: "c1", BINDING_ANNOTATION: "0".repeat(64) },
    }});
    let (params, patch) = (PatchParams::default(), Patch::Merge(&forged));
    world
        .secrets()
        .patch(TOKEN_SECRET, &params, &patch)
        .await
        .unwrap();
    world
        .until_reason("storefront", Reason::BindingMismatch)
        .await;
    assert_eq!(world.creates("storefront").len(), 0);
    world.check().await;
}
