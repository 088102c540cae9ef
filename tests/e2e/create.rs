//! The create of a client, when all goes well, and what it costs.

use std::collections::BTreeMap;

use provident_emulator::Operation;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_new_client_costs_four_writes_one_dry_run_and_one_vendor_call() {
    let world = World::start().await;
    let operator = world.start_operator();
    // The first one brings the binding key and the connection's first look along.
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    world.silence().await;
    operator.faults.forget();
    let calls = world.emulator.calls().len();

    let spec = json!({ "redirectUris": ["https://shop.example.com/auth/callback"], "tokenLifetimeSeconds": 3600 });
    world.declare("second", spec).await;
    world.until_ready("second").await;
    world.silence().await;
    assert_eq!(operator.faults.writes_by_resource(), writes_of_one_create());
    assert_eq!(operator.faults.dry_runs(), 1);
    let calls = &world.emulator.calls()[calls..];
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Create]);
    world.check().await;
}

#[tokio::test]
async fn a_restart_with_settled_clients_writes_nothing_and_asks_the_vendor_nothing() {
    let world = World::start().await;
    let operator = world.start_operator();
    let names: Vec<_> = (0..20).map(|index| format!("client-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    world.silence().await;
    operator.crash().await;
    let calls = world.emulator.calls().len();

    let operator = world.start_operator();
    // Proof that it is up and has reconciled them: a client declared after all of them is served.
    world.declare("last", json!({})).await;
    world.until_ready("last").await;
    world.silence().await;
    assert_eq!(
        operator.faults.writes_by_resource(),
        writes_of_one_create(),
        "those of the last one, and no other"
    );
    let calls = &world.emulator.calls()[calls..];
    let operations: Vec<_> = calls.iter().map(|call| call.operation).collect();
    assert_eq!(operations, [Operation::Create], "the last one's");
    world.check().await;
}

#[tokio::test]
async fn each_change_is_one_put_of_what_differs_and_one_event_that_names_it() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    world.until_ready("storefront").await;
    let changes = [
        ("tokenLifetimeSeconds", json!(86400)),
        ("redirectUris", json!(["https://shop.example.com/callback"])),
    ];
    for (field, value) in &changes {
        world
            .patch("storefront", json!({ "spec": { *field: value } }))
            .await;
        world.until_ready("storefront").await;
        let event = format!("ClientUpdated: Updated the client at the vendor: {field}");
        world.until_event("storefront", &event).await;
    }
    let calls = world.emulator.calls().into_iter();
    let sent: Vec<_> = calls
        .filter(|call| call.operation == Operation::Update)
        .map(|call| call.fields)
        .collect();
    assert_eq!(sent, changes.map(|(field, _)| vec![field.to_owned()]));
    world.check().await;
}

/// Finalizer, claim, Secret, status.
fn writes_of_one_create() -> BTreeMap<String, usize> {
    BTreeMap::from([
        ("oauthclients".to_owned(), 1),
        ("oauthclients/status".to_owned(), 2),
        ("secrets".to_owned(), 1),
    ])
}
