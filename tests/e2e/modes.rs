//! The chart's smaller installs: without cluster connections, and without list and watch on Secrets.

use std::time::Duration;

use harness::faults::Record;
use kube::api::DeleteParams;
use provident_core::api::Reason;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::rights::Mode;
use crate::world::{World, is_ready};

/// Of a client that names a connection of its namespace.
fn by_own() -> Value {
    json!({ "connectionRef": { "kind": "ProvidentConnection", "name": "own" } })
}

fn lists_or_watches(operator: &Operator, resource: &str) -> usize {
    let such =
        |record: &Record| record.request.resource == resource && record.request.name.is_none();
    operator
        .faults
        .count(|record| such(record) && record.request.method == http::Method::GET)
}

#[tokio::test]
async fn without_cluster_connections_none_is_asked_for_and_who_names_one_is_told_what_to_do() {
    let world = World::start_as(Mode::Tenant).await;
    world.create_own_connection("own").await;
    let operator = world.start_operator();
    world.declare("web", json!({})).await;
    let words = [
        "spec.connectionRef",
        "ProvidentConnection of this namespace",
        "clusterConnections.enabled",
    ];
    world
        .until_told("web", Reason::ConnectionNotFound, &words)
        .await;
    world.patch("web", json!({ "spec": by_own() })).await;
    world.until_ready("web").await;
    let asked = |record: &Record| record.request.resource == "clusterprovidentconnections";
    assert_eq!(operator.faults.count(asked), 0);
    world.check().await;
}

#[tokio::test]
async fn unwatched_secrets_are_put_right_at_the_next_verification_and_survive_a_restart() {
    let world = World::start_as(Mode::UnwatchedSecrets).await;
    let operator = world.start_operator();
    let client_id = world
        .settled("web", json!({ "refreshInterval": "1m" }))
        .await;
    let secrets = world.secrets();
    let kept = secrets.get("web").await.unwrap().data;
    secrets
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    // By its schedule, within the interval that the spec names.
    let back = async || {
        world
            .secret("web")
            .await
            .is_some_and(|now| now.data == kept)
    };
    let patience = Duration::from_secs(100);
    world
        .eventually_within(patience, "the Secret is back", back)
        .await;
    // Or when somebody asks.
    let edit = json!({ "stringData": { "clientSecret": "wrong" } });
    world.edit_secret("web", edit).await;
    world.verify_now("web").await;
    world.until("web", "right again", is_ready).await;
    assert_eq!(world.secret("web").await.unwrap().data, kept);
    world.silence().await;
    let (writes, calls) = (operator.faults.writes(), world.emulator.calls().len());
    assert!(writes > 0);
    operator.crash().await;
    let operator = world.start_operator();
    world.silence().await;
    assert_eq!(operator.faults.writes(), 0);
    assert_eq!(world.operations_from(calls), []);
    assert_eq!(world.until_ready("web").await, client_id);
    assert_eq!(lists_or_watches(&operator, "secrets"), 0);
    world.check().await;
}

#[tokio::test]
async fn a_changed_token_is_noticed_without_a_watch() {
    let mut world = World::start_as(Mode::UnwatchedSecrets).await;
    world.credential_poll = Duration::from_secs(1);
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    // The old one is still good: nothing but the Secret says that there is another.
    let before = world.connection_status().await.accepted_credential_hash;
    world.emulator.set_token("another-token");
    world.put_token("another-token").await;
    let noticed = async || world.connection_status().await.accepted_credential_hash != before;
    world.eventually("the new token is in use", noticed).await;
    world.declare("new", json!({})).await;
    world.until_ready("new").await;
    assert_eq!(lists_or_watches(&operator, "secrets"), 0);
    world.check().await;
}

#[tokio::test]
async fn a_key_made_anew_takes_up_no_secret_that_a_former_one_bound() {
    let world = World::start_as(Mode::UnwatchedSecrets).await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    operator.crash().await;
    // Restored without status and without the key; the Secrets came along.
    let keys = kube::Api::<k8s_openapi::api::core::v1::Secret>::namespaced(
        world.client.clone(),
        &world.system,
    );
    let key = "provident-operator-binding-key";
    keys.delete(key, &DeleteParams::default()).await.unwrap();
    let gone = json!({ "bindingMAC": null, "clientId": null });
    world.patch_status("web", gone).await;
    let _operator = world.start_operator();
    world.ask_for_verification("web").await;
    world.until_reason("web", Reason::BindingMismatch).await;
    assert!(keys.get_opt(key).await.unwrap().is_some());
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}
