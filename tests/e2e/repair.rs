//! A Secret that somebody took away or changed: right again at once, from one GET, with the same client and secret.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::DeleteParams;
use provident_core::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_ANNOTATION, MANAGED_LABEL,
};
use provident_emulator::Operation;
use serde_json::{Value, json};

use crate::declared::difference;
use crate::settled::{these, writes};
use crate::world::{PATIENCE, World};

/// Within this a Secret is right again (the figure); a busy machine may take longer for a single one.
const PROMISED: Duration = Duration::from_secs(2);

/// So that none of many clients is verified by its schedule meanwhile.
const SELDOM: &str = "9999h";

impl World {
    /// Waits until the Secret is as declared and its object Ready, and says how long that took.
    async fn put_right(&self, name: &str, client_id: &str) -> Duration {
        let start = Instant::now();
        let vendor = self.emulator.client(client_id).unwrap();
        let object = self.get(name).await;
        loop {
            let secret = self.secret(object.secret_name()).await;
            let right = |s| difference(&object, &vendor, s, &self.token_url()).is_none();
            let bound = secret.as_ref().is_some_and(|secret| {
                let annotations = secret.metadata.annotations.clone().unwrap_or_default();
                [BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_ANNOTATION]
                    .iter()
                    .all(|key| annotations.contains_key(*key))
            });
            if bound && secret.as_ref().is_some_and(right) {
                return start.elapsed();
            }
            if start.elapsed() > PATIENCE {
                self.fail(&format!("the Secret of {name} is not repaired"))
                    .await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn s34_a_deleted_secret_comes_back_from_one_get_with_two_writes() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let (calls, before) = (
        world.emulator.calls().len(),
        world.secret("web").await.unwrap(),
    );
    operator.faults.forget();
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    secrets.delete("web", &params).await.unwrap();
    world.put_right("web", &client_id).await;
    world.silence().await;

    let after = world.secret("web").await.unwrap();
    assert_eq!(before.data, after.data, "the same client, the same secret");
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    // The Secret, and its version in status.
    let wanted = these([("secrets", 1), ("oauthclients/status", 1)]);
    assert_eq!(writes(&operator.faults), wanted);
    world.check().await;
}

#[tokio::test]
async fn s35_whatever_is_changed_of_ours_is_put_right_once() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("first", json!({})).await;
    let annotation =
        |key: &str, value: Value| json!({ "metadata": { "annotations": { key: value } } });
    let label = |value: Value| json!({ "metadata": { "labels": { MANAGED_LABEL: value } } });
    let edits = [
        ("emptied", json!({ "data": null })),
        (
            "edited",
            json!({ "stringData": { "clientSecret": "theirs" } }),
        ),
        ("removed", json!({ "data": { "clientSecret": null } })),
        ("unlabelled", label(Value::Null)),
        ("relabelled", label(json!("somebody-else"))),
        (
            "disowned",
            json!({ "metadata": { "ownerReferences": null } }),
        ),
        ("unbound", annotation(BINDING_ANNOTATION, Value::Null)),
        (
            "misbound",
            annotation(CLIENT_ID_ANNOTATION, json!("another")),
        ),
        ("forgotten", annotation(MANAGED_ANNOTATION, Value::Null)),
        (
            "its-label",
            json!({ "metadata": { "labels": { "team": "theirs" } } }),
        ),
        ("its-note", annotation("reload", Value::Null)),
    ];
    let secret = json!({ "labels": { "team": "shop" }, "annotations": { "reload": "yes" } });
    let spec = json!({ "secret": secret, "refreshInterval": SELDOM });
    join_all(
        edits
            .iter()
            .map(|(name, _)| world.declare(name, spec.clone())),
    )
    .await;
    let clients = join_all(edits.iter().map(|(name, _)| world.until_ready(name))).await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();

    let mut times = Vec::new();
    for ((name, edit), client_id) in edits.iter().zip(&clients) {
        world.edit_secret(name, edit.clone()).await;
        times.push((world.put_right(name, client_id).await, *name));
    }
    world.silence().await;
    times.sort();
    println!("repaired after: {times:?}");
    assert!(times[times.len() / 2].0 < PROMISED, "{times:?}");
    if world.operations_from(calls) != vec![Operation::Get; edits.len()] {
        world.fail("not one GET each").await;
    }
    let wanted = these([
        ("secrets", edits.len()),
        ("oauthclients/status", edits.len()),
    ]);
    assert_eq!(writes(&operator.faults), wanted);
    world.check().await;
}

#[tokio::test]
async fn s35_a_secret_without_label_and_owner_is_watched_again_once_it_is_right() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let stripped = json!({ "metadata": { "labels": null, "ownerReferences": null } });
    world.edit_secret("web", stripped).await;
    world.put_right("web", &client_id).await;
    let emptied = json!({ "data": null });
    world.edit_secret("web", emptied).await;
    world.put_right("web", &client_id).await;
    world.check().await;
}

#[tokio::test]
async fn s35_a_secret_edited_while_the_operator_was_down_costs_one_get() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("first", json!({})).await;
    let names = ["broken", "annotated", "untouched"];
    for name in names {
        world.declare(name, json!({})).await;
        world.until_ready(name).await;
    }
    world.silence().await;
    operator.crash().await;
    let calls = world.emulator.calls().len();
    world
        .edit_secret("broken", json!({ "stringData": { "clientId": "x" } }))
        .await;
    let note = json!({ "metadata": { "annotations": { "example.com/seen": "1" } } });
    world.edit_secret("annotated", note).await;

    let operator = world.start_operator();
    let broken = world.get("broken").await.status.unwrap().client_id.unwrap();
    world.put_right("broken", &broken).await;
    world.silence().await;
    let asked = world.operations_from(calls);
    assert_eq!(
        asked,
        [Operation::Get, Operation::Get],
        "none for the third"
    );
    let wanted = these([("secrets", 1), ("oauthclients/status", 2)]);
    assert_eq!(writes(&operator.faults), wanted);
    world.check().await;
}

/// Prints the figures of the issue.
#[tokio::test]
async fn s34_fifty_secrets_deleted_one_after_another() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("first", json!({})).await;
    let names: Vec<_> = (0..50).map(|n| format!("web-{n:02}")).collect();
    let spec = json!({ "refreshInterval": SELDOM });
    join_all(names.iter().map(|name| world.declare(name, spec.clone()))).await;
    let clients = join_all(names.iter().map(|name| world.until_ready(name))).await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    let mut times = Vec::new();
    for (name, client_id) in names.iter().zip(&clients) {
        secrets.delete(name, &params).await.unwrap();
        times.push(world.put_right(name, client_id).await);
    }
    world.silence().await;
    times.sort();
    println!(
        "50 Secrets deleted and back: p50 {:?}, p99 {:?}, longest {:?}",
        times[25], times[48], times[49]
    );
    assert!(times[25] < PROMISED, "{times:?}");
    assert_eq!(world.operations_from(calls), vec![Operation::Get; 50]);
    let wanted = these([("secrets", 50), ("oauthclients/status", 50)]);
    assert_eq!(writes(&operator.faults), wanted);
    world.check().await;
}
