//! Secrets: the operator's token changes those of `OAuthClient`s and no others, whatever it writes on them.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use provident_core::api::{BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_LABEL, MANAGER};
use serde_json::{Value, json};

use super::{
    ALLOW_ADOPTION, NO_UID, NOT_OURS, is_denied, is_not_seized, merge_patch, owned_by, replace,
    seized,
};
use crate::more::uid;
use crate::world::World;

#[tokio::test]
async fn a_foreign_secret_is_not_overwritten_by_naming_an_owner() {
    let world = World::start().await;
    let real = owned_by("web", &uid(&world.declare("web", json!({})).await));
    let made_up = owned_by("web", NO_UID);
    let mut member = real.clone();
    member[0]["controller"] = false.into();
    let foreign = [
        ("bare", json!({})),
        (
            "labelled-only",
            json!({ "labels": { MANAGED_LABEL: MANAGER } }),
        ),
        (
            "names-a-client",
            json!({ "annotations": { CLIENT_ID_ANNOTATION: "c1" } }),
        ),
        (
            "opted-in-for-another",
            json!({ "annotations": { ALLOW_ADOPTION: "other" } }),
        ),
        (
            "opted-in-empty",
            json!({ "annotations": { ALLOW_ADOPTION: "" } }),
        ),
        (
            "owned-not-controlled",
            json!({ "labels": { MANAGED_LABEL: MANAGER }, "ownerReferences": member }),
        ),
    ];
    for (name, metadata) in foreign {
        let secret = world.put_secret_of(&world.namespace, name, metadata).await;
        for owners in [&real, &made_up] {
            is_not_seized(&world, name, &secret, owners, NOT_OURS).await;
        }
    }
    let owned = json!({ "ownerReferences": real });
    let owned = world.put_secret_of(&world.namespace, "owned", owned).await;
    is_not_seized(&world, "owned and not labelled", &owned, &real, NOT_OURS).await;
}

#[tokio::test]
async fn a_clients_secret_is_written_in_every_state_that_the_operator_repairs() {
    let world = World::start().await;
    let account = world.operator_account();
    let owners = owned_by("web", &uid(&world.declare("web", json!({})).await));
    let label = json!({ MANAGED_LABEL: MANAGER });
    let bound = json!({ BINDING_ANNOTATION: "00" });
    let repaired = [
        (
            "without its annotations",
            json!({ "labels": label, "ownerReferences": owners }),
        ),
        (
            "without its label",
            json!({ "annotations": bound, "ownerReferences": owners }),
        ),
        (
            "without its owner",
            json!({ "labels": label, "annotations": bound }),
        ),
        (
            "restored without label and owner",
            json!({ "annotations": bound }),
        ),
        (
            "opted in for adoption",
            json!({ "annotations": { ALLOW_ADOPTION: "web" } }),
        ),
    ];
    for (n, (what, metadata)) in repaired.into_iter().enumerate() {
        let secret = world
            .put_secret_of(&world.namespace, &format!("web-{n}"), metadata)
            .await;
        let written = replace(&account, &seized(&secret, &owners)).await;
        assert!(written.is_ok(), "{what}: {written:?}");
    }
}

#[tokio::test]
async fn a_clients_secret_keeps_its_owner_its_finalizers_and_its_type() {
    let world = World::start().await;
    let owners = owned_by("web", &uid(&world.declare("web", json!({})).await));
    let metadata = json!({ "labels": { MANAGED_LABEL: MANAGER }, "ownerReferences": owners });
    let own = world.put_secret_of(&world.namespace, "web", metadata).await;
    let unlimited = world.operator_account_with_all_rights().await;
    let with = |more: Value| {
        let mut all = owners.as_array().unwrap().clone();
        all.push(more);
        Value::from(all)
    };
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": NO_UID });
    let mut demoted = owners.clone();
    demoted[0]["controller"] = false.into();
    let mut made_up = owned_by("web", NO_UID)[0].clone();
    demoted = json!([demoted[0], made_up]);
    made_up["controller"] = false.into();
    let owner = "may not change the owners";
    let attacks = [
        // Then the garbage collector would delete it.
        (
            "another owner",
            json!({ "ownerReferences": owned_by("web", NO_UID) }),
            owner,
        ),
        (
            "one more owner",
            json!({ "ownerReferences": with(map.clone()) }),
            owner,
        ),
        (
            "a second client",
            json!({ "ownerReferences": with(made_up) }),
            owner,
        ),
        (
            "another controller",
            json!({ "ownerReferences": demoted }),
            owner,
        ),
        (
            "a stranger instead",
            json!({ "ownerReferences": [map] }),
            "that an OAuthClient owns",
        ),
        ("no label", json!({ "labels": null }), "carry its label"),
        (
            "released without its label",
            json!({ "labels": null, "ownerReferences": null }),
            "carry its label",
        ),
        (
            "a finalizer",
            json!({ "finalizers": ["example.com/keep"] }),
            "finalizers",
        ),
    ];
    for (what, metadata, words) in attacks {
        let patch = json!({ "metadata": metadata });
        is_denied(what, merge_patch(&unlimited, &own, &patch).await, words);
    }
    let frozen = merge_patch(&unlimited, &own, &json!({ "immutable": true })).await;
    is_denied("frozen", frozen, "immutable");
    let other =
        json!({ "metadata": { "ownerReferences": null }, "stringData": { "password": "ours" } });
    let changed = merge_patch(&unlimited, &own, &other).await;
    is_denied(
        "released with other content",
        changed,
        "that an OAuthClient owns",
    );
    let secrets: Api<Secret> = Api::namespaced(unlimited.clone(), &world.namespace);
    let deleted = secrets.delete("web", &DeleteParams::default()).await;
    is_denied("deleted", deleted.map(|_| ()), "deletes no Secret");

    let released = json!({ "metadata": { "ownerReferences": null } });
    merge_patch(&unlimited, &own, &released).await.unwrap();
}

#[tokio::test]
async fn a_new_secret_is_a_clients_and_nothing_more() {
    let world = World::start().await;
    let owners = owned_by("web", &uid(&world.declare("web", json!({})).await));
    let account = world.operator_account();
    let create =
        async |change: Value| create_with(&account, &world.namespace, &owners, change).await;
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": NO_UID });
    let attacks = [
        ("no label", json!({ "labels": null }), "carry its label"),
        (
            "no owner",
            json!({ "ownerReferences": null }),
            "that an OAuthClient owns",
        ),
        (
            "another kind",
            json!({ "ownerReferences": [map] }),
            "that an OAuthClient owns",
        ),
        (
            "two owners",
            json!({ "ownerReferences": [owners[0], map] }),
            "may not change the owners",
        ),
        (
            "a finalizer",
            json!({ "finalizers": ["example.com/keep"] }),
            "finalizers",
        ),
    ];
    for (what, metadata, words) in attacks {
        is_denied(what, create(metadata).await, words);
    }
    create(json!({})).await.unwrap();
}

async fn create_with(
    client: &Client,
    namespace: &str,
    owners: &Value,
    change: Value,
) -> Result<Secret, kube::Error> {
    let mut metadata =
        json!({ "name": "web", "labels": { MANAGED_LABEL: MANAGER }, "ownerReferences": owners });
    let fields = metadata.as_object_mut().unwrap();
    fields.extend(change.as_object().unwrap().clone());
    let secret = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    secrets.create(&PostParams::default(), &secret).await
}
