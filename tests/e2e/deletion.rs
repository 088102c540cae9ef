//! Deletion at the worst moments: while a create is in flight, and before a namesake.

use harness::faults::{Effect, Fault};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::PostParams;
use provident_core::api::{BINDING_ANNOTATION, EventReason, FINALIZER, OAuthClient, Reason};
use provident_emulator::{Call, Fault as VendorFault, Operation, When};
use serde_json::json;

use crate::more::{client_id, uid};
use crate::requests::{status_write, strike_nth};
use crate::world::{World, attempt};

fn updates_of(world: &World, client_id: &str) -> Vec<Call> {
    let calls = world.emulator.calls().into_iter();
    calls
        .filter(|call| {
            call.operation == Operation::Update && call.client_id.as_deref() == Some(client_id)
        })
        .collect()
}

// The cluster's garbage collector takes it away once its owner is gone.
async fn until_no_secret(world: &World, name: &str) {
    let gone = async || world.secret(name).await.is_none();
    world.eventually("the Secret is collected", gone).await;
}

fn is_deactivated_once(world: &World, client_id: &str) {
    assert!(!world.emulator.client(client_id).unwrap().is_active);
    let fields: Vec<_> = updates_of(world, client_id)
        .into_iter()
        .map(|call| call.fields)
        .collect();
    assert_eq!(
        fields,
        [["isActive"]],
        "deactivated, once, and nothing else"
    );
}

#[tokio::test]
async fn s23_deleted_while_its_create_is_in_flight_leaves_no_active_client() {
    let world = World::start().await;
    let _operator = world.start_operator();
    for (name, when) in [("before", When::BeforeCommit), ("after", When::AfterCommit)] {
        let gate = world.emulator.faults().gate(Operation::Create, when);
        world.declare(name, json!({})).await;
        world.arrived(&gate, 1).await;
        world.delete(name).await;
        gate.release();
        world.until_gone(name).await;
        assert_eq!(world.creates(name).len(), 1);
        let made = world.creates(name)[0].client_id.clone().unwrap();
        is_deactivated_once(&world, &made);
        until_no_secret(&world, name).await;
    }
    world.check().await;
}

#[tokio::test]
async fn s23_with_retain_client_and_secret_outlive_an_object_deleted_during_its_create() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::BeforeCommit);
    world
        .declare("web", json!({ "deletionPolicy": "Retain" }))
        .await;
    world.arrived(&gate, 1).await;
    world.delete("web").await;
    gate.release();
    world.until_gone("web").await;
    let client = world.only_client();
    assert!(client.is_active && updates_of(&world, &client.client_id).is_empty());
    let secret: Secret = world.secret("web").await.expect("the Secret outlives it");
    assert!(secret.owner_references().is_empty());
    assert!(secret.annotations().contains_key(BINDING_ANNOTATION));
    assert_eq!(
        secret.data.unwrap()["clientSecret"].0,
        client.client_secret.as_bytes()
    );

    // Declared again, it takes the same client up.
    world.declare("web", json!({})).await;
    assert_eq!(world.until_ready("web").await, client.client_id);
    world.check().await;
}

#[tokio::test]
async fn s24_a_namesake_gets_a_client_of_its_own_and_the_former_one_is_deactivated_once() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let former = world.declare("web", json!({})).await;
    let old = world.until_ready("web").await;
    world.delete("web").await;
    world.until_gone("web").await;
    // At once: the Secret of the former object may not be collected yet.
    let next = world.declare("web", json!({})).await;
    let new = world.until_ready("web").await;
    assert_ne!((uid(&former), &old), (uid(&next), &new));
    is_deactivated_once(&world, &old);
    assert!(world.emulator.client(&new).unwrap().is_active);
    assert_eq!(updates_of(&world, &new), []);
    let secret = world.secret("web").await.unwrap();
    assert_eq!(secret.owner_references()[0].uid, uid(&next));
    world.check_with(&[("web", 1)]).await;
}

#[tokio::test]
async fn s24_an_answer_for_a_former_object_is_never_its_namesakes() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("web", json!({})).await;
    world.arrived(&gate, 1).await;
    let old = world.only_client().client_id;
    // Somebody takes the finalizer off by hand, and the object is declared again, all during the create.
    world.delete("web").await;
    world
        .patch("web", json!({ "metadata": { "finalizers": null } }))
        .await;
    world.until_gone("web").await;
    let next = world.declare("web", json!({})).await;
    gate.release();
    let new = world.until_ready("web").await;
    assert_ne!(old, new);
    world
        .until_vendor("the former client deactivated", |vendor| {
            vendor.client(&old).is_some_and(|client| !client.is_active)
        })
        .await;
    is_deactivated_once(&world, &old);
    assert!(world.emulator.client(&new).unwrap().is_active);
    let secret = world.secret("web").await.unwrap();
    assert_eq!(secret.owner_references()[0].uid, uid(&next));
    world.check_with(&[("web", 1)]).await;
}

#[tokio::test]
async fn s09_kubectl_replace_on_a_held_object_leaves_it_held() {
    let world = World::start().await;
    let _operator = world.start_operator();
    // A gateway answers 503 after the vendor took the create.
    let taken = VendorFault::answer(When::AfterCommit, 503);
    world.emulator.faults().once(Operation::Create, taken);
    let declared = world.declare("web", json!({})).await;
    let words = [&*world.vendor_name("web"), "spec.adoption", "retry-create="];
    let held = world
        .until_told("web", Reason::CreateOutcomeUnknown, &words)
        .await;

    // As GitOps tools do it: the manifest and nothing else, at the newest version.
    let mut manifest = OAuthClient::new("web", declared.spec.clone());
    manifest.metadata.resource_version = held.metadata.resource_version.clone();
    let replaced = world
        .objects()
        .replace("web", &PostParams::default(), &manifest)
        .await
        .unwrap();
    assert!(
        replaced.finalizers().is_empty(),
        "a replace erases finalizers"
    );
    let healed = world
        .until("web", "under our finalizer again", |object| {
            object
                .finalizers()
                .iter()
                .any(|finalizer| finalizer == FINALIZER)
        })
        .await;
    assert_eq!(attempt(&healed), attempt(&held));
    world
        .until_reason("web", Reason::CreateOutcomeUnknown)
        .await;
    world.silence().await;
    assert_eq!(world.creates("web").len(), 1);

    // Deleting it releases it, and says what is left for a person to look at.
    world.delete("web").await;
    world.until_gone("web").await;
    let id = attempt(&held).unwrap();
    world
        .until_event_with("web", EventReason::ClientReleased, &["Released", &id])
        .await;
    world.check().await;
}

#[tokio::test]
async fn s23_deletion_waits_for_another_processs_create() {
    let mut world = World::start().await;
    world.attempt_wait = std::time::Duration::from_secs(30);
    let creator = world.start_operator();
    // The create's answer waits at the vendor, and its process with it: who tells of the wait is the other one.
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("web", json!({})).await;
    world.arrived(&gate, 1).await;
    let other = world.start_operator();
    world.delete("web").await;
    let words = ["Deletion waits for the create"];
    let waiting = world.until_told("web", Reason::Deactivating, &words).await;
    assert!(
        waiting
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
    );
    assert_eq!(client_id(&waiting), None);
    let made = world.only_client().client_id;
    assert!(world.emulator.client(&made).unwrap().is_active);

    gate.release();
    world.until_gone("web").await;
    assert_eq!(world.creates("web").len(), 1);
    assert!(!world.emulator.client(&made).unwrap().is_active);
    until_no_secret(&world, "web").await;
    drop((creator, other));
    world.check().await;
}

#[tokio::test]
async fn s24_deleted_between_report_and_its_stale_view_costs_one_deactivation() {
    let world = World::start().await;
    let operator = world.start_operator();
    let objects = world.objects();
    let delete = Effect::run(move |_| {
        let objects = objects.clone();
        async move {
            let params = kube::api::DeleteParams::default();
            let _ = objects.delete("web", &params).await.unwrap();
        }
    });
    let report = status_write(&world, "web");
    strike_nth(&operator.faults, 2, report, Fault::before(delete));
    world.declare("web", json!({})).await;
    world
        .until_vendor("the client is made", |vendor| vendor.clients().len() == 1)
        .await;
    world.until_gone("web").await;
    is_deactivated_once(&world, &world.only_client().client_id);
    until_no_secret(&world, "web").await;
    world.check().await;
}
