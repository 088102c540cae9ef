//! The operator's own namespace, with its binding key and the credentials of connections: the operator's token changes nothing there.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use provident_core::api::{BINDING_ANNOTATION, MANAGED_LABEL, MANAGER};
use serde_json::{Value, json};

use super::{
    ALLOW_ADOPTION, NO_UID, NOT_OURS, is_denied, is_not_seized, merge_patch, owned_by, replace,
    seized,
};
use crate::more::uid;
use crate::world::{TOKEN_SECRET, World};

const KEY: &str = "provident-operator-binding-key";

#[tokio::test]
async fn nothing_foreign_in_the_operators_namespace_is_changed() {
    let world = World::start().await;
    let system = &world.system;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), system);
    let key = world.put_secret_of(system, KEY, json!({})).await;
    let opted_in = json!({ "annotations": { ALLOW_ADOPTION: "web" } });
    let opted_in = world.put_secret_of(system, "opted-in", opted_in).await;
    let token = secrets.get(TOKEN_SECRET).await.unwrap();
    let made_up = owned_by("web", NO_UID);
    for (what, secret) in [("key", &key), ("token", &token), ("opted in", &opted_in)] {
        is_not_seized(&world, what, secret, &made_up, NOT_OURS).await;
    }

    // Not even a key that bears every mark of a client's Secret.
    let marks = json!({ "metadata": {
        "labels": { MANAGED_LABEL: MANAGER }, "annotations": { BINDING_ANNOTATION: "00" },
        "ownerReferences": owned_by("web", &uid(&world.declare("web", json!({})).await)),
    }});
    // The finalizer keeps the garbage collector from deleting the key: its owner is in another namespace.
    let mut marked = merge_patch(
        &world.client,
        &key,
        &json!({ "metadata": { "finalizers": ["example.com/keep"] } }),
    )
    .await
    .unwrap();
    marked = merge_patch(&world.client, &marked, &marks).await.unwrap();
    let owners = serde_json::to_value(marked.owner_references()).unwrap();
    let unlimited = world.operator_account_with_all_rights().await;
    is_denied(
        "a key with marks",
        replace(&unlimited, &seized(&marked, &owners)).await,
        "never changes its binding key",
    );
    let free = json!({ "metadata": { "finalizers": null } });
    merge_patch(&world.client, &marked, &free).await.unwrap();
}

#[tokio::test]
async fn the_binding_key_is_made_as_the_operator_makes_it_and_in_no_other_way() {
    let world = World::start().await;
    let secrets: Api<Secret> = Api::namespaced(world.operator_account(), &world.system);
    let key = |metadata: Value, immutable: bool, data: Value| -> Secret {
        let mut key = json!({ "metadata": metadata, "immutable": immutable, "stringData": data });
        key["metadata"]["name"] = KEY.into();
        serde_json::from_value(key).unwrap()
    };
    let data = json!({ "key": "k" });
    // The garbage collector would delete such a key once clients are bound by it.
    let owned = json!({ "ownerReferences": owned_by("web", NO_UID) });
    let kept = json!({ "finalizers": ["example.com/keep"] });
    let more = json!({ "key": "k", "more": "k" });
    let words = "that an OAuthClient owns";
    let attacks = [
        ("with an owner", key(owned, true, data.clone()), words),
        (
            "with a finalizer",
            key(kept, true, data.clone()),
            "finalizers",
        ),
        ("with one more value", key(json!({}), true, more), words),
        ("mutable", key(json!({}), false, data.clone()), words),
    ];
    let params = PostParams::default();
    for (what, key, words) in attacks {
        is_denied(what, secrets.create(&params, &key).await, words);
    }
    let key = key(json!({}), true, data);
    secrets.create(&params, &key).await.unwrap();
}
