//! What else the operator's account may write: finalizers and status of its own kinds, its lease, events about its objects.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use provident_core::api::{ClusterProvidentConnection, FINALIZER, OAuthClient};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{NO_UID, is_denied, owned_by};
use crate::world::World;

const FINALIZERS_ONLY: &str = "changes nothing but its finalizers";

async fn merge<K>(api: &Api<K>, name: &str, patch: &Value) -> Result<K, kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

// A policy is in force some moments after it was made.
async fn until_in_force(world: &World, attempt: impl AsyncFn() -> bool) {
    world
        .eventually("the policy refuses a dry run", async || attempt().await)
        .await;
}

fn objects(client: &Client, world: &World) -> Api<OAuthClient> {
    Api::namespaced(client.clone(), &world.namespace)
}

#[tokio::test]
async fn the_operators_token_does_not_change_what_is_declared() {
    let world = World::start().await;
    let metadata = json!({
        "labels": { "team": "shop" }, "annotations": { "note": "theirs" }, "finalizers": ["example.com/theirs"],
    });
    world
        .declare_with(
            "web",
            metadata,
            json!({ "redirectUris": ["https://shop.example"] }),
        )
        .await;
    let clients = objects(&world.operator_account(), &world);
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    until_in_force(&world, async || {
        let patch = json!({ "metadata": { "labels": { "team": "ours" } } });
        clients
            .patch("web", &dry_run, &Patch::Merge(&patch))
            .await
            .is_err()
    })
    .await;
    let attacks = [
        ("a scope", json!({ "spec": { "allowedScopes": ["*"] } })),
        (
            "a field that was not stated",
            json!({ "spec": { "tokenLifetimeSeconds": 3600 } }),
        ),
        (
            "a field taken away",
            json!({ "spec": { "redirectUris": null } }),
        ),
        (
            "retention",
            json!({ "spec": { "deletionPolicy": "Retain" } }),
        ),
        (
            "a label",
            json!({ "metadata": { "labels": { "app": "ours" } } }),
        ),
        (
            "a label's value",
            json!({ "metadata": { "labels": { "team": "ours" } } }),
        ),
        ("no labels", json!({ "metadata": { "labels": null } })),
        (
            "a retry",
            json!({ "metadata": { "annotations": { "oauth.provident.ae/retry-create": "x" } } }),
        ),
        (
            "no annotations",
            json!({ "metadata": { "annotations": null } }),
        ),
        // The garbage collector would delete it, and its client at the vendor would be disabled.
        (
            "an owner",
            json!({ "metadata": { "ownerReferences": owned_by("gone", NO_UID) } }),
        ),
        (
            "another's finalizer",
            json!({ "metadata": { "finalizers": [FINALIZER] } }),
        ),
        (
            "one more finalizer",
            json!({ "metadata": { "finalizers": ["example.com/theirs", "example.com/ours"] } }),
        ),
    ];
    let before = world.get("web").await;
    for (what, patch) in &attacks {
        is_denied(what, merge(&clients, "web", patch).await, FINALIZERS_ONLY);
    }
    let unlimited = objects(&world.operator_account_with_all_rights().await, &world);
    let mut changed = before.clone();
    changed.spec.allowed_scopes = vec!["*".to_owned()];
    let replaced = unlimited
        .replace("web", &PostParams::default(), &changed)
        .await;
    is_denied("a whole object", replaced, FINALIZERS_ONLY);
    let deleted = unlimited.delete("web", &DeleteParams::default()).await;
    is_denied("deletion", deleted.map(|_| ()), "creates and deletes none");
    let mut other = OAuthClient::new("other", before.spec.clone());
    other.metadata.namespace = before.namespace();
    let created = unlimited.create(&PostParams::default(), &other).await;
    is_denied("creation", created, "creates and deletes none");
    assert_eq!(
        world.get("web").await.resource_version(),
        before.resource_version()
    );
    // The test leaves nothing that keeps its namespace from being deleted.
    let free = json!({ "metadata": { "finalizers": null } });
    merge(&world.objects(), "web", &free).await.unwrap();
}

#[tokio::test]
async fn the_operators_token_changes_its_own_finalizer_and_status() {
    let world = World::start().await;
    let metadata = json!({ "labels": { "team": "shop" }, "finalizers": ["example.com/theirs"] });
    let before = world.declare_with("web", metadata, json!({})).await;
    let clients = objects(&world.operator_account(), &world);
    let both = json!({ "metadata": { "finalizers": ["example.com/theirs", FINALIZER] } });
    merge(&clients, "web", &both).await.unwrap();
    // Status takes nothing else along.
    let status = json!({ "metadata": { "labels": { "team": "ours" } }, "spec": { "suspend": true }, "status": { "clientId": "c1" } });
    let params = PatchParams::default();
    clients
        .patch_status("web", &params, &Patch::Merge(&status))
        .await
        .unwrap();
    let after = world.get("web").await;
    assert_eq!(
        (after.labels(), after.spec.suspend),
        (before.labels(), before.spec.suspend)
    );
    world.delete("web").await;
    let theirs = json!({ "metadata": { "finalizers": ["example.com/theirs"] } });
    merge(&clients, "web", &theirs).await.unwrap();
    let free = json!({ "metadata": { "finalizers": null } });
    merge(&world.objects(), "web", &free).await.unwrap();
}

#[tokio::test]
async fn the_operators_account_changes_no_connection() {
    let world = World::start().await;
    let client = world.operator_account_with_all_rights().await;
    let connections: Api<ClusterProvidentConnection> = Api::all(client);
    let open = json!({ "spec": { "access": [{ "namespaces": ["elsewhere"], "scopes": ["*"] }] } });
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    until_in_force(&world, async || {
        connections
            .patch(&world.connection, &dry_run, &Patch::Merge(&open))
            .await
            .is_err()
    })
    .await;
    let attacks = [
        ("access", open),
        (
            "another host",
            json!({ "spec": { "baseUrl": "https://evil.example" } }),
        ),
        ("a label", json!({ "metadata": { "labels": { "a": "b" } } })),
        (
            "an owner",
            json!({ "metadata": { "ownerReferences": owned_by("gone", NO_UID) } }),
        ),
    ];
    for (what, patch) in &attacks {
        is_denied(
            what,
            merge(&connections, &world.connection, patch).await,
            FINALIZERS_ONLY,
        );
    }
    let deleted = connections
        .delete(&world.connection, &DeleteParams::default())
        .await;
    is_denied("deletion", deleted.map(|_| ()), "creates and deletes none");
}

#[tokio::test]
async fn the_operators_token_makes_no_lease_but_its_own() {
    let world = World::start().await;
    let leases: Api<Lease> = Api::namespaced(world.operator_account(), &world.system);
    let lease = |name: &str| {
        serde_json::from_value::<Lease>(json!({ "metadata": { "name": name } })).unwrap()
    };
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until_in_force(&world, async || {
        leases.create(&dry_run, &lease("other")).await.is_err()
    })
    .await;
    let created = leases
        .create(&PostParams::default(), &lease("kube-controller-manager"))
        .await;
    is_denied("another's lease", created, "writes no Lease but its own");
    let unlimited = world.operator_account_with_all_rights().await;
    let elsewhere: Api<Lease> = Api::namespaced(unlimited, &world.namespace);
    let created = elsewhere
        .create(&PostParams::default(), &lease("provident-operator"))
        .await;
    is_denied("elsewhere", created, "writes no Lease but its own");
    leases
        .create(&PostParams::default(), &lease("provident-operator"))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_operators_token_writes_no_event_about_objects_of_others() {
    let world = World::start().await;
    let events: Api<Event> = Api::namespaced(world.operator_account(), &world.namespace);
    let about = |api_version: &str, kind: &str| -> Event {
        serde_json::from_value(json!({
            "metadata": { "generateName": "forged-" }, "eventTime": "2026-01-01T00:00:00.000000Z",
            "reportingController": "kubelet", "reportingInstance": "node", "action": "Killing", "reason": "Killing", "type": "Warning",
            "regarding": { "apiVersion": api_version, "kind": kind, "name": "web", "namespace": world.namespace },
        }))
        .unwrap()
    };
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until_in_force(&world, async || {
        events.create(&dry_run, &about("v1", "Pod")).await.is_err()
    })
    .await;
    for (api_version, kind) in [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("evil.example/v1", "OAuthClient"),
    ] {
        let created = events
            .create(&PostParams::default(), &about(api_version, kind))
            .await;
        is_denied(kind, created, "writes only Events about its own kinds");
    }
    let ours = about("oauth.provident.ae/v1alpha1", "OAuthClient");
    events.create(&PostParams::default(), &ours).await.unwrap();
}
