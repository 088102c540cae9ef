//! A cluster that is put back from a backup: what is restored takes up its client or is held, and nothing is made twice.

use harness::ControlPlane;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use provident_core::api::{BINDING_ANNOTATION, ClusterProvidentConnection, OAuthClient, Reason};
use provident_emulator::Operation;
use serde_json::json;

use crate::rights::account;
use crate::world::{World, create_namespace};

impl World {
    /// Lets operators to come have a namespace of their own, with the same token, as after a move to another cluster.
    async fn move_system(&mut self) {
        self.system = create_namespace(&self.client, "e2e-system-").await;
        let admin = ControlPlane::shared().await.unwrap().client_config();
        let watched = std::slice::from_ref(&self.namespace);
        self.config = account(&admin, self.mode, &self.system, watched).await;
        self.put_token(&self.emulator.token()).await;
    }
}

/// What a backup holds of one client: the object as it was declared, and its Secret without what the cluster put there.
struct Backup {
    spec: serde_json::Value,
    status: serde_json::Value,
    secret: Secret,
}

async fn back_up(world: &World, name: &str) -> Backup {
    let object = world.get(name).await;
    let mut secret = world.secret(name).await.unwrap();
    let meta = secret.metadata;
    secret.metadata = kube::core::ObjectMeta {
        name: meta.name,
        labels: meta.labels,
        annotations: meta.annotations,
        ..Default::default()
    };
    Backup {
        spec: serde_json::to_value(&object.spec).unwrap(),
        status: serde_json::to_value(&object.status).unwrap(),
        secret,
    }
}

/// The cluster is lost: no operator runs, and whatever there was is gone.
async fn lose(world: &World, names: &[&str]) {
    for name in names {
        world
            .patch(name, json!({ "metadata": { "finalizers": null } }))
            .await;
        let params = DeleteParams::default();
        let _ = world.objects().delete(name, &params).await.unwrap();
        world.until_gone(name).await;
        let gone = async || world.secret(name).await.is_none();
        world.eventually("its Secret is gone", gone).await;
    }
}

async fn restore_secret(world: &World, secret: &Secret) {
    let params = PostParams::default();
    world.secrets().create(&params, secret).await.unwrap();
}

#[tokio::test]
async fn s44_restored_with_its_secret_a_client_is_taken_up_through_its_binding() {
    let world = World::start().await;
    let operator = world.start_operator();
    let (web, other) = (
        world.settled("web", json!({})).await,
        world.settled("other", json!({})).await,
    );
    let backup = back_up(&world, "web").await;
    let of_other = back_up(&world, "other").await;
    operator.crash().await;
    lose(&world, &["web", "other"]).await;
    let creates = world.emulator.commits(Operation::Create);

    // Whichever comes first: the Secret, or the object.
    restore_secret(&world, &backup.secret).await;
    world.declare("web", backup.spec).await;
    world.declare("other", of_other.spec).await;
    restore_secret(&world, &of_other.secret).await;
    let calls = world.emulator.calls().len();
    let _operator = world.start_operator();
    assert_eq!(world.until_ready("web").await, web);
    assert_eq!(world.until_ready("other").await, other);
    world.silence().await;
    assert_eq!(
        world.operations_from(calls),
        [Operation::Get, Operation::Get]
    );
    assert_eq!(world.emulator.commits(Operation::Create), creates);
    let secret = world.secret("web").await.unwrap();
    assert_eq!(
        secret.owner_references()[0].uid,
        world.get("web").await.uid().unwrap()
    );
    world.check().await;
}

#[tokio::test]
async fn s44_restored_into_another_cluster_with_the_binding_key_from_the_backup() {
    let mut world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let backup = back_up(&world, "web").await;
    let keys: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    let key = "provident-operator-binding-key";
    let mut saved = keys.get(key).await.unwrap();
    saved.metadata = kube::core::ObjectMeta {
        name: Some(key.to_owned()),
        ..Default::default()
    };
    operator.crash().await;
    lose(&world, &["web"]).await;
    // Another operator namespace, with a key of another kind of cluster: a new one, from the backup.
    world.move_system().await;
    let keys: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    keys.create(&PostParams::default(), &saved).await.unwrap();
    restore_secret(&world, &backup.secret).await;
    world.declare("web", backup.spec).await;
    // A new cluster's connection has no manager yet.
    let all: Api<ClusterProvidentConnection> = Api::all(world.client.clone());
    let free = Patch::Merge(json!({ "status": { "managedBy": null } }));
    all.patch_status(&world.connection, &PatchParams::default(), &free)
        .await
        .unwrap();
    let _operator = world.start_operator();
    assert_eq!(world.until_ready("web").await, client_id);
    assert_eq!(world.emulator.commits(Operation::Create), 1);
    world.check().await;
}

#[tokio::test]
async fn s44_a_restored_secret_without_a_valid_binding_is_held_and_nothing_is_created() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let client_id = world.settled("other", json!({})).await;
    let mut backup = back_up(&world, "web").await;
    operator.crash().await;
    lose(&world, &["web"]).await;
    let annotations = backup.secret.metadata.annotations.as_mut().unwrap();
    annotations.insert(BINDING_ANNOTATION.to_owned(), "0".repeat(64));
    restore_secret(&world, &backup.secret).await;
    world.declare("web", backup.spec).await;
    let calls = world.emulator.calls().len();
    let _operator = world.start_operator();
    let words = ["spec.secret.name", "was not recorded for this object"];
    world
        .until_told("web", Reason::BindingMismatch, &words)
        .await;
    assert_eq!(world.operations_from(calls), []);
    assert_eq!(world.until_ready("other").await, client_id);
    world.check().await;
}

#[tokio::test]
async fn s44_restored_with_its_status_and_without_its_secret_it_gets_the_secret_back() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let backup = back_up(&world, "web").await;
    operator.crash().await;
    lose(&world, &["web"]).await;
    world.declare("web", backup.spec).await;
    world.patch_status("web", backup.status).await;
    let calls = world.emulator.calls().len();
    let _operator = world.start_operator();
    let back = |object: &OAuthClient| object.metadata.finalizers.is_some();
    world.until("web", "under our finalizer", back).await;
    let there = async || world.secret("web").await.is_some();
    world.eventually("the Secret is back", there).await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.silence().await;
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    world.check().await;
}

#[tokio::test]
async fn s44_declared_again_after_retain_it_is_taken_up() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world
        .settled("web", json!({ "deletionPolicy": "Retain" }))
        .await;
    world.delete("web").await;
    world.until_gone("web").await;
    // Time passes: somebody changes a setting at the vendor, and the new declaration states it.
    world.drift(&client_id, |client| client.rate_limit_count = 9);
    world.declare("web", json!({ "rateLimitCount": 7 })).await;
    assert_eq!(world.until_ready("web").await, client_id);
    assert_eq!(
        world.emulator.client(&client_id).unwrap().rate_limit_count,
        7
    );
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s44_a_full_quota_is_no_obstacle_to_take_up_the_secret_that_fills_it() {
    let world = World::start().await;
    world.one_secret_only().await;
    let _operator = world.start_operator();
    let retained = json!({ "deletionPolicy": "Retain" });
    let client_id = world.settled("web", retained.clone()).await;
    world.delete("web").await;
    world.until_gone("web").await;
    world.declare("web", retained).await;
    assert_eq!(world.until_ready("web").await, client_id);
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}
