//! Others write the Secret too: what they add stays, conflicts over fields are reported, and templates are as documented.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use provident_core::api::{ConditionType, OAuthClient, Reason};
use provident_emulator::Operation;
use serde_json::json;

use crate::requests::{secret_write, sent};
use crate::settled::{condition_of, these, writes};
use crate::world::{World, is_ready};

fn text(data: &std::collections::BTreeMap<String, ByteString>, key: &str) -> String {
    String::from_utf8(data[key].0.clone()).unwrap()
}

#[tokio::test]
async fn s35_what_others_put_on_the_secret_stays_and_is_not_fought_over() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    let foreign = json!({
        "metadata": {
            "labels": { "policy.example.com/checked": "yes" },
            "annotations": { "reloader.example.com/hash": "1" },
            "ownerReferences": world.secret("web").await.unwrap().metadata.owner_references,
        },
        "stringData": { "their-key": "theirs" },
    });
    world.edit_secret("web", foreign).await;
    world.silence().await;
    // Looked at once, noted, and left alone.
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    assert_eq!(
        writes(&operator.faults),
        these([("oauthclients/status", 1)])
    );

    // Through an edit and a repair.
    let spec = json!({ "secret": { "labels": { "team": "shop" } } });
    world.patch("web", json!({ "spec": spec })).await;
    world.until_ready("web").await;
    world
        .edit_secret("web", json!({ "data": { "clientSecret": null } }))
        .await;
    let secret_of = world.emulator.client(&client_id).unwrap().client_secret;
    let repaired = async || {
        let data = world.secret("web").await.unwrap().data.unwrap();
        data.get("clientSecret")
            .is_some_and(|bytes| bytes.0 == secret_of.as_bytes())
    };
    world.eventually("the key is back", repaired).await;
    let secret = world.secret("web").await.unwrap();
    assert_eq!(text(secret.data.as_ref().unwrap(), "their-key"), "theirs");
    assert_eq!(secret.labels()["policy.example.com/checked"], "yes");
    assert_eq!(secret.labels()["team"], "shop");
    assert_eq!(secret.annotations()["reloader.example.com/hash"], "1");
    world.check().await;
}

#[tokio::test]
async fn templates_give_renamed_keys_an_env_file_and_json() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let env = "CLIENT_ID=$(clientId)\nCLIENT_SECRET=$(clientSecret)\n";
    let json_file = r#"{"id":"$(clientId)","secret":"$(clientSecret)","url":"$(tokenUrl)","literal":"$$(clientId)"}"#;
    let string_data =
        json!({ "CLIENT_ID": "$(clientId)", "app.env": env, "client.json": json_file });
    let client_id = world
        .settled(
            "web",
            json!({ "secret": { "name": "credentials", "stringData": string_data } }),
        )
        .await;
    let client = world.emulator.client(&client_id).unwrap();
    assert!(
        world.secret("web").await.is_none(),
        "under the name that was asked for"
    );
    let data = world.secret("credentials").await.unwrap().data.unwrap();
    assert_eq!(
        data.keys().collect::<Vec<_>>(),
        ["CLIENT_ID", "app.env", "client.json"]
    );
    assert_eq!(
        text(&data, "app.env"),
        format!(
            "CLIENT_ID={client_id}\nCLIENT_SECRET={}\n",
            client.client_secret
        )
    );
    let parsed: serde_json::Value = serde_json::from_str(&text(&data, "client.json")).unwrap();
    let wanted = json!({ "id": client_id, "secret": client.client_secret, "url": world.token_url(), "literal": "$(clientId)" });
    assert_eq!(parsed, wanted);

    // What the spec drops goes; the vendor is asked for the values, and nothing else.
    let calls = world.emulator.calls().len();
    let renamed = json!({ "app.env": null, "client.json": null, "ID": "$(clientId)" });
    world
        .patch(
            "web",
            json!({ "spec": { "secret": { "stringData": renamed } } }),
        )
        .await;
    world.until_ready("web").await;
    let data = world.secret("credentials").await.unwrap().data.unwrap();
    assert_eq!(data.keys().collect::<Vec<_>>(), ["CLIENT_ID", "ID"]);
    world.silence().await;
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    world.check().await;
}

#[tokio::test]
async fn an_immutable_secret_that_must_change_is_told_and_written_anew_once_deleted() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    world.edit_secret("web", json!({ "immutable": true })).await;
    world.silence().await;
    assert!(is_ready(&world.get("web").await), "it holds what it should");
    let renamed = json!({ "secret": { "stringData": { "ID": "$(clientId)" } } });
    world.patch("web", json!({ "spec": renamed })).await;
    let words = ["Secret web is immutable", "Delete it"];
    let refused = world
        .until_told("web", Reason::SecretImmutable, &words)
        .await;
    assert_eq!(
        condition_of(&refused, ConditionType::SecretReady).0,
        "False"
    );
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    secrets.delete("web", &params).await.unwrap();
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}

/// A controller of somebody else's that wants another value, as often as it is asked.
fn fight(world: &World, name: &'static str) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (go_on, changes) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let (goes_on, counts): (Arc<AtomicBool>, Arc<AtomicUsize>) =
        (Arc::clone(&go_on), Arc::clone(&changes));
    let secrets = world.secrets();
    tokio::spawn(async move {
        while goes_on.load(Ordering::SeqCst) {
            let secret = secrets.get(name).await.unwrap();
            let theirs = |bytes: &ByteString| bytes.0 == b"theirs";
            if !secret
                .data
                .as_ref()
                .and_then(|data| data.get("clientSecret"))
                .is_some_and(theirs)
            {
                let patch = json!({ "stringData": { "clientSecret": "theirs" } });
                let params = PatchParams::default();
                secrets
                    .patch(name, &params, &Patch::Merge(&patch))
                    .await
                    .unwrap();
                counts.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (go_on, changes)
}

#[tokio::test]
async fn a_secret_that_is_fought_over_is_left_alone_for_a_minute_and_told() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    let (go_on, changes) = fight(&world, "web");
    let words = [
        "Secret web",
        "--show-managed-fields",
        "paused for one minute",
    ];
    let contested = world
        .until_told("web", Reason::SecretConflict, &words)
        .await;
    assert_eq!(
        condition_of(&contested, ConditionType::SecretReady).1,
        Reason::SecretConflict.as_str()
    );
    world.silence().await;
    assert_eq!(
        sent(&operator.faults, &secret_write(&world)),
        3,
        "three repairs"
    );
    assert_eq!(changes.load(Ordering::SeqCst), 4);
    let asked = world.operations_from(calls);
    assert!(
        asked.len() <= 4 && asked.iter().all(|asked| *asked == Operation::Get),
        "{asked:?}"
    );

    // An edit is no repair: it is written at once, and lost again.
    let label = json!({ "secret": { "labels": { "team": "shop" } } });
    world.patch("web", json!({ "spec": label })).await;
    let written = async || {
        world
            .secret("web")
            .await
            .unwrap()
            .labels()
            .contains_key("team")
    };
    world.eventually("the edit is written", written).await;
    let lost = |object: &OAuthClient| {
        let (status, reason, _) = condition_of(object, ConditionType::Ready);
        let observed = object.status.as_ref().unwrap().observed_generation;
        observed == object.metadata.generation
            && (status.as_str(), reason.as_str()) == ("False", Reason::SecretConflict.as_str())
    };
    world.until("web", "it is reported again", lost).await;
    // Once the other one is gone it ends by itself.
    go_on.store(false, Ordering::SeqCst);
    let two_minutes = Duration::from_secs(130);
    let ready = async || is_ready(&world.get("web").await);
    world
        .eventually_within(two_minutes, "Ready again by itself", ready)
        .await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}
