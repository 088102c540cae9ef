//! What would break every other test: the definitions deleted, the whole cluster put back. On control planes of their own.

use harness::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::DeleteParams;
use kube::{Api, CustomResourceExt};
use provident_core::api::{OAuthClient, Reason};
use provident_emulator::{Fault, Operation, Options, When};
use serde_json::json;
use tokio::sync::Mutex;

use crate::rights::Mode;
use crate::world::{World, attempt, install};

/// One at a time: each takes 400 MiB.
pub static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn while_the_definition_is_deleted_every_deletion_is_a_retain() {
    let _alone = ALONE.lock().await;
    let control_plane = ControlPlane::start().await.unwrap();
    install(&control_plane.client_config()).await;
    let world = World::on(&control_plane, Mode::Namespaces, Options::default()).await;
    let _operator = world.start_operator();
    let web = world.settled("web", json!({})).await;
    let stuck = world.settled("stuck", json!({})).await;
    // One deletion that waits already, and none of its own doing can end.
    world.edit_connection(json!({ "suspend": true })).await;
    world.until_connection(Reason::Suspended).await;
    world.delete("stuck").await;
    world
        .until_reason("stuck", Reason::ConnectionNotReady)
        .await;
    let calls = world.emulator.calls().len();

    let all: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = OAuthClient::crd_name();
    let _ = all.delete(name, &DeleteParams::default()).await.unwrap();
    let gone = async || all.get_opt(name).await.unwrap().is_none();
    world.eventually("the definition is gone", gone).await;
    assert_eq!(world.operations_from(calls), []);
    for client_id in [web, stuck] {
        assert!(world.emulator.client(&client_id).unwrap().is_active);
    }
    // Their Secrets stay, and applications go on.
    for name in ["web", "stuck"] {
        let secret = world.secret(name).await.unwrap();
        assert_eq!(secret.metadata.owner_references.unwrap_or_default(), []);
    }
}

#[tokio::test]
async fn s43_an_etcd_put_back_makes_no_second_client() {
    let _alone = ALONE.lock().await;
    let mut control_plane = ControlPlane::start().await.unwrap();
    install(&control_plane.client_config()).await;
    let mut world = World::on(&control_plane, Mode::Namespaces, Options::default()).await;
    let operator = world.start_operator();
    let kept = world.settled("kept", json!({ "rateLimitCount": 7 })).await;
    let deleted = world.settled("deleted", json!({})).await;
    // One create is on its way when the backup is taken: claimed, and not answered.
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("claimed", json!({})).await;
    world.arrived(&gate, 1).await;
    let backup = control_plane.back_up().await.unwrap();
    gate.release();
    let claimed = world.until_ready("claimed").await;

    // Life goes on after it.
    world.delete("deleted").await;
    world.until_gone("deleted").await;
    world
        .patch("kept", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    world.until_ready("kept").await;
    let later = world.settled("later", json!({})).await;
    let creates = world.emulator.commits(Operation::Create);
    control_plane.restore(&backup).await.unwrap();

    // Neither the operator that lived through it nor one that starts again makes a second client.
    world.watch_for(std::time::Duration::from_secs(5)).await;
    assert_eq!(world.emulator.commits(Operation::Create), creates);
    operator.crash().await;
    let _operator = world.start_operator();
    // What status says is what it said then; the next verification puts it right.
    for name in ["kept", "deleted"] {
        world.verify_now(name).await;
    }
    assert_eq!(world.until_ready("kept").await, kept);
    assert_eq!(
        world.emulator.client(&kept).unwrap().rate_limit_count,
        7,
        "as the restored spec says"
    );
    // Its answer is forgotten: held, for a person to look.
    let words = ["retry-create=", &world.vendor_name("claimed")];
    world
        .until_told("claimed", Reason::CreateOutcomeUnknown, &words)
        .await;
    assert!(attempt(&world.get("claimed").await).is_some());
    // It was deactivated after the backup, and the machine does not undo what a person meant.
    world
        .until_told(
            "deleted",
            Reason::DeactivatedAtVendor,
            &["spec.isActive: true"],
        )
        .await;
    world
        .patch("deleted", json!({ "spec": { "isActive": true } }))
        .await;
    assert_eq!(world.until_ready("deleted").await, deleted);
    assert!(world.objects().get_opt("later").await.unwrap().is_none());
    for client_id in [claimed, later] {
        assert!(
            world.emulator.client(&client_id).is_some(),
            "left at the vendor, as stated"
        );
    }
    assert_eq!(world.emulator.commits(Operation::Create), creates);
    // An API server that has just started refuses whatever it has not read the roles of yet.
    world.audit.forget();
    // What is declared from now on works as ever.
    world
        .emulator
        .faults()
        .once(Operation::Create, Fault::Status(202));
    world.declare("new", json!({})).await;
    world.until_ready("new").await;
    world.check().await;
}
