//! Only the end state counts: what came and went while nobody looked costs nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DeleteParams;
use provident_core::api::RECONCILE;
use provident_emulator::Operation;
use serde_json::json;

use crate::settled::{handled, these, writes};
use crate::world::{World, is_ready};

#[tokio::test]
async fn s39_there_and_back_while_the_operator_was_down_sends_nothing() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({ "rateLimitCount": 7 })).await;
    operator.crash().await;
    let calls = world.emulator.calls().len();
    for count in [8, 9, 7] {
        world
            .patch("web", json!({ "spec": { "rateLimitCount": count } }))
            .await;
    }
    let label =
        |value| json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": value } } });
    world.edit_secret("web", label(Some("x"))).await;
    world
        .edit_secret("web", label(Some("provident-operator")))
        .await;
    for asked in [json!("now"), json!(null)] {
        let patch = json!({ "metadata": { "annotations": { RECONCILE: asked } } });
        world.patch("web", patch).await;
    }
    let operator = world.start_operator();
    world.until_ready("web").await;
    world.silence().await;
    // One look, since generation and Secret are new; nothing to send, and one report.
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    assert_eq!(
        writes(&operator.faults),
        these([("oauthclients/status", 1)])
    );
    world.check().await;
}

#[tokio::test]
async fn s39_there_and_back_while_suspended_sends_nothing() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({ "rateLimitCount": 7 })).await;
    let conditions = world.get("web").await.status.unwrap().conditions;
    world
        .patch("web", json!({ "spec": { "suspend": true } }))
        .await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    for count in [8, 7] {
        world
            .patch("web", json!({ "spec": { "rateLimitCount": count } }))
            .await;
    }
    let asked = world.ask_for_verification("web").await;
    world.silence().await;
    let paused = world.get("web").await;
    let statuses = |conditions: &[Condition]| -> Vec<_> {
        let of = |condition: &Condition| (condition.type_.clone(), condition.status.clone());
        conditions.iter().map(of).collect()
    };
    let status = paused.status.as_ref().unwrap();
    assert_eq!(
        statuses(&status.conditions),
        statuses(&conditions),
        "conditions stay"
    );
    assert_eq!(
        status.observed_generation, paused.metadata.generation,
        "whoever waits for the new generation does not wait for as long as it is suspended"
    );
    assert_eq!(world.operations_from(calls), []);
    let written = writes(&operator.faults);
    assert!(
        written.keys().all(|kind| kind == "oauthclients/status")
            && written.values().sum::<usize>() <= 3,
        "at most one for each new generation, and one for the request: {written:?}"
    );

    world
        .patch("web", json!({ "spec": { "suspend": false } }))
        .await;
    world.until_ready("web").await;
    world.silence().await;
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    assert_eq!(
        handled(&world.get("web").await),
        Some(asked),
        "what was asked for meanwhile is done"
    );
    assert_eq!(
        world.emulator.client(&client_id).unwrap().rate_limit_count,
        7
    );
    world.check().await;
}

#[tokio::test]
async fn while_suspended_neither_drift_nor_a_deleted_secret_is_put_right() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({ "rateLimitCount": 7 })).await;
    world
        .patch("web", json!({ "spec": { "suspend": true } }))
        .await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    world.drift(&client_id, |client| client.rate_limit_count = 9);
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    secrets.delete("web", &params).await.unwrap();
    world.ask_for_verification("web").await;
    world.silence().await;
    assert!(world.secret("web").await.is_none());
    assert_eq!(world.operations_from(calls), []);

    world
        .patch("web", json!({ "spec": { "suspend": null } }))
        .await;
    let back = async || world.secret("web").await.is_some() && is_ready(&world.get("web").await);
    world.eventually("everything is repaired", back).await;
    world.silence().await;
    assert_eq!(
        world.operations_from(calls),
        [Operation::Get, Operation::Update]
    );
    world.check().await;
}

#[tokio::test]
async fn a_suspended_connection_holds_verification_and_repair_and_lets_them_go_on() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    let conditions = world.get("web").await.status.unwrap().conditions;
    world.edit_connection(json!({ "suspend": true })).await;
    world
        .until_connection(provident_core::api::Reason::Suspended)
        .await;
    let calls = world.emulator.calls().len();
    let asked = world.ask_for_verification("web").await;
    world.silence().await;
    assert_eq!(world.operations_from(calls), []);
    // The request gets an answer; all else stays as it is.
    let paused = world.get("web").await.status.unwrap().conditions;
    let changed: Vec<_> = paused
        .iter()
        .filter(|condition| !conditions.contains(condition))
        .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
        .collect();
    assert_eq!(changed, [("Synced", "Unknown")]);

    world.edit_connection(json!({ "suspend": false })).await;
    let acknowledged = async || handled(&world.get("web").await).as_ref() == Some(&asked);
    world.eventually("verified as asked", acknowledged).await;
    world.until_ready("web").await;
    world.check().await;
}
