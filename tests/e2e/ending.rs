//! Deletion while something it needs is away or gone: it waits, says so, and names its exit.

use std::time::Duration;

use provident_core::api::{EventReason, Reason};
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::json;

use crate::settled::writes;
use crate::world::World;

impl World {
    pub fn is_active(&self, client_id: &str) -> bool {
        self.emulator.client(client_id).unwrap().is_active
    }
}

#[tokio::test]
async fn s25_a_deletion_waits_for_the_vendor_with_backoff_and_names_its_exit() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let other = world.settled("other", json!({})).await;
    let away = Fault::Drop(When::BeforeCommit);
    world.emulator.faults().always(Operation::Update, away);
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    for name in ["web", "other"] {
        world.delete(name).await;
        let words = ["Deletion waits", "deletionPolicy\":\"Retain\""];
        world
            .until_told(name, Reason::VendorUnavailable, &words)
            .await;
    }
    world.watch_for(Duration::from_secs(8)).await;
    let updates = world
        .operations_from(calls)
        .into_iter()
        .filter(|asked| *asked == Operation::Update);
    // Two objects with waits of 1, 2, 4 s and more, each cut short at most three times a minute.
    assert!(updates.count() <= 20, "{:?}", world.operations_from(calls));
    let reported = writes(&operator.faults).get("oauthclients/status").copied();
    assert!(
        reported <= Some(4),
        "reported once, not at every attempt: {reported:?}"
    );
    // The exit that the message names; the client and its Secret stay.
    world
        .patch("web", json!({ "spec": { "deletionPolicy": "Retain" } }))
        .await;
    world.until_gone("web").await;
    assert!(world.is_active(&client_id) && world.secret("web").await.is_some());

    world.emulator.faults().clear();
    world.until_gone("other").await;
    assert!(!world.is_active(&other));
    world.check().await;
}

#[tokio::test]
async fn s26_a_client_the_vendor_does_not_know_any_more_does_not_hold_its_object() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    assert!(world.emulator.remove(&client_id));
    let calls = world.emulator.calls().len();
    world.delete("web").await;
    world.until_gone("web").await;
    world.silence().await;
    let asked: Vec<_> = world
        .emulator
        .calls()
        .split_off(calls)
        .into_iter()
        .map(|call| call.operation)
        .collect();
    assert_eq!(asked, [Operation::Update], "asked once, answered 404");
    world.check().await;
}

#[tokio::test]
async fn a_404_over_an_unproven_connection_is_not_believed_and_the_deletion_waits() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let other = world.settled("other", json!({})).await;
    // Another token, perhaps of another account: what it does not find may exist elsewhere.
    world.emulator.set_token("another-token");
    assert!(world.emulator.remove(&client_id));
    // Nor may the probe of the new token find the other one.
    world.emulator.faults().add(Rule {
        operation: Operation::Get,
        client: Some(other.clone()),
        fault: Fault::answer(When::BeforeCommit, 404),
        every: None,
        count: None,
    });
    world.put_token("another-token").await;
    world.watch_for(Duration::from_secs(1)).await;
    world.delete("web").await;
    let words = [
        "Deletion waits",
        "not verified",
        "\"deletionPolicy\":\"Retain\"",
    ];
    world
        .until_told("web", Reason::ConnectionNotReady, &words)
        .await;
    // Any client behind it that is found proves it.
    world.emulator.faults().clear();
    world.verify_now("other").await;
    world.until_gone("web").await;
    assert!(world.is_active(&other));
    world.check().await;
}

#[tokio::test]
async fn a_deletion_whose_connection_is_gone_waits_and_retain_ends_it() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let other = world.settled("other", json!({})).await;
    let connection = world.connections().get(&world.connection).await.unwrap();
    world.remove_connection().await;
    let calls = world.emulator.calls().len();
    for name in ["web", "other"] {
        world.delete(name).await;
        let words = [
            "Deletion waits",
            "spec.connectionRef",
            "\"deletionPolicy\":\"Retain\"",
        ];
        world
            .until_told(name, Reason::ConnectionNotFound, &words)
            .await;
    }
    world
        .patch("web", json!({ "spec": { "deletionPolicy": "Retain" } }))
        .await;
    world.until_gone("web").await;
    assert_eq!(world.operations_from(calls), []);
    assert!(world.is_active(&client_id));

    // It is declared again, and the other one goes on.
    let mut again = connection;
    again.metadata = kube::core::ObjectMeta {
        name: Some(world.connection.clone()),
        ..Default::default()
    };
    again.status = None;
    let params = kube::api::PostParams::default();
    world.connections().create(&params, &again).await.unwrap();
    world.until_gone("other").await;
    assert!(!world.is_active(&other));
    world.check().await;
}

#[tokio::test]
async fn an_object_without_a_client_goes_without_a_call() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("first", json!({})).await;
    let calls = world.emulator.calls().len();
    world.declare("paused", json!({ "suspend": true })).await;
    world.until_reason("paused", Reason::Suspended).await;
    world.edit_connection(json!({ "access": [] })).await;
    // Two watches, and no order between them: the operator knows when it says so.
    world.until_reason("first", Reason::AccessDenied).await;
    world.declare("denied", json!({})).await;
    world.until_reason("denied", Reason::AccessDenied).await;
    for name in ["paused", "denied"] {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    world.silence().await;
    assert_eq!(world.operations_from(calls), []);
    assert_eq!(world.emulator.clients().len(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_held_object_goes_with_an_event_that_names_the_attempt() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let lost = Fault::Drop(When::AfterCommit);
    world.emulator.faults().once(Operation::Create, lost);
    world.declare("web", json!({})).await;
    world
        .until_reason("web", Reason::CreateOutcomeUnknown)
        .await;
    let attempt = crate::world::attempt(&world.get("web").await).unwrap();
    world.delete("web").await;
    world.until_gone("web").await;
    let words = [
        "Released although the outcome of create attempt",
        &attempt,
        &world.vendor_name("web"),
    ];
    world
        .until_event_with("web", EventReason::ClientReleased, &words)
        .await;
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}
