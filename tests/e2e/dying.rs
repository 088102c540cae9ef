//! Deletion of more than one object meant: its namespace, its dependents, its finalizer by hand.

use harness::faults::{Effect, Fault as ClusterFault};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use provident_core::api::{FINALIZER, OAuthClient, Reason};
use provident_emulator::{Fault, Operation, When};
use serde_json::json;

use crate::requests::{secret_write, sent, strike_from};
use crate::rights::Mode;
use crate::settled::{these, writes};
use crate::world::World;

/// Roles go with their namespace, before what waits for its finalizer: these rights stay.
pub const LASTING: Mode = Mode::Cluster;

impl World {
    pub async fn delete_namespace(&self) {
        let all: Api<Namespace> = Api::all(self.client.clone());
        let params = DeleteParams::default();
        all.delete(&self.namespace, &params).await.unwrap();
    }

    pub async fn until_namespace_gone(&self) {
        let all: Api<Namespace> = Api::all(self.client.clone());
        let gone = async || all.get_opt(&self.namespace).await.unwrap().is_none();
        self.eventually("the namespace is gone", gone).await;
    }
}

#[tokio::test]
async fn s27_a_namespace_that_is_deleted_does_not_hang() {
    let world = World::start_as(LASTING).await;
    let _operator = world.start_operator();
    let away = world.settled("away", json!({})).await;
    let kept = world
        .settled("kept", json!({ "deletionPolicy": "Retain" }))
        .await;
    world.declare("waiting", json!({ "suspend": true })).await;
    world.until_reason("waiting", Reason::Suspended).await;
    world.delete_namespace().await;
    world.until_namespace_gone().await;
    assert!(!world.is_active(&away) && world.is_active(&kept));
    assert_eq!(world.creates("waiting"), []);
    world.check().await;
}

#[tokio::test]
async fn s27_retain_does_not_wait_for_a_secret_it_may_not_write_in_a_dying_namespace() {
    let world = World::start_as(LASTING).await;
    let operator = world.start_operator();
    let client_id = world
        .settled("web", json!({ "deletionPolicy": "Retain" }))
        .await;
    // Somebody holds the Secret, so that it outlives the deletion's first round.
    world
        .edit_secret(
            "web",
            json!({ "metadata": { "finalizers": ["example.com/hold"] } }),
        )
        .await;
    world.silence().await;
    let forbidden = ClusterFault::before(Effect::Answer(403));
    strike_from(&operator.faults, 1, secret_write(&world), forbidden);
    // While the namespace lives it waits, visibly.
    world.delete("web").await;
    let words = ["Secret web (403)"];
    world
        .until_told("web", Reason::SecretWriteDenied, &words)
        .await;
    world.delete_namespace().await;
    world.until_gone("web").await;
    assert!(world.is_active(&client_id));
    world
        .edit_secret("web", json!({ "metadata": { "finalizers": null } }))
        .await;
    world.until_namespace_gone().await;
    world.check().await;
}

#[tokio::test]
async fn s28_a_stripped_finalizer_is_told_where_the_client_is_left_behind() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let away = Fault::Drop(When::BeforeCommit);
    world.emulator.faults().always(Operation::Update, away);
    world.delete("web").await;
    world.until_reason("web", Reason::VendorUnavailable).await;
    world
        .patch("web", json!({ "metadata": { "finalizers": null } }))
        .await;
    world.until_gone("web").await;
    let reported = async || {
        let log = world.log.text();
        let reported =
            |line: &str| line.contains("without our finalizer") && line.contains(&client_id);
        log.lines().any(reported)
    };
    world.eventually("the log names the client", reported).await;
    let counted = "provident_operator_orphaned_clients_total 1";
    assert!(
        operator.metrics.text().contains(counted),
        "{}",
        operator.metrics.text()
    );
    assert!(world.is_active(&client_id));

    // Others go on, and their end is no orphan.
    world.emulator.faults().clear();
    world.settled("next", json!({})).await;
    world.delete("next").await;
    world.until_gone("next").await;
    world.silence().await;
    assert!(operator.metrics.text().contains(counted));
    world.check().await;
}

#[tokio::test]
async fn a_finalizer_stripped_from_a_living_object_comes_back() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    world
        .patch("web", json!({ "metadata": { "finalizers": null } }))
        .await;
    let ours = |object: &OAuthClient| {
        object
            .metadata
            .finalizers
            .iter()
            .flatten()
            .any(|finalizer| finalizer == FINALIZER)
    };
    world.until("web", "under our finalizer again", ours).await;
    world.silence().await;
    assert_eq!(world.operations_from(calls), []);
    assert_eq!(writes(&operator.faults), these([("oauthclients", 1)]));
    world.check().await;
}

#[tokio::test]
async fn a_foreground_deletion_ends_and_no_secret_is_brought_back_for_it() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Update, When::BeforeCommit);
    operator.faults.forget();
    let (objects, params) = (world.objects(), DeleteParams::foreground());
    let _ = objects.delete("web", &params).await.unwrap();
    // The Secret is taken while the client is still being deactivated. The garbage collector does that, if it has heard of
    // a Secret so young; where it has not, it never would before the owner is gone.
    world.arrived(&gate, 1).await;
    let _ = world
        .secrets()
        .delete("web", &DeleteParams::default())
        .await;
    assert!(world.secret("web").await.is_none());
    gate.release();
    world.until_gone("web").await;
    assert!(!world.is_active(&client_id));
    assert_eq!(sent(&operator.faults, &secret_write(&world)), 0);
    assert!(world.secret("web").await.is_none());
    world.check().await;
}
