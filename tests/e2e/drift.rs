//! The vendor's client changes under the operator: corrected with one PUT, reported, or given up on, as declared.

use std::time::Duration;

use provident_core::api::{ConditionType, Reason};
use provident_emulator::{Call, Fault, Operation, Rule, When};
use serde_json::json;

use crate::settled::{condition_of, these, writes};
use crate::world::{World, is_ready};

fn updated_fields(world: &World, from: usize) -> Vec<Vec<String>> {
    let calls: Vec<Call> = world.emulator.calls().split_off(from);
    let updates = calls
        .into_iter()
        .filter(|call| call.operation == Operation::Update);
    updates.map(|call| call.fields).collect()
}

#[tokio::test]
async fn s36_drift_is_corrected_with_one_put_of_what_differs() {
    let world = World::start().await;
    let operator = world.start_operator();
    let spec = json!({ "name": "Storefront", "isActive": true, "rateLimitCount": 7, "redirectUris": ["https://a.example"] });
    let client_id = world.settled("web", spec).await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    // All as it is: a verification costs one GET, and one write to acknowledge it.
    world.verify_now("web").await;
    world.silence().await;
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    assert_eq!(
        writes(&operator.faults),
        these([("oauthclients/status", 1)])
    );

    let calls = world.emulator.calls().len();
    world.drift(&client_id, |client| {
        client.name = "by hand".to_owned();
        client.is_active = false;
        client.allowed_scopes = vec!["orders:read".to_owned()];
        // Of no concern: the spec says nothing about it.
        client.token_lifetime_seconds = 0;
    });
    world.verify_now("web").await;
    world.until_ready("web").await;
    world.silence().await;
    assert_eq!(
        world.operations_from(calls),
        [Operation::Get, Operation::Update]
    );
    let fields = ["allowedScopes", "isActive", "name"].map(str::to_owned);
    assert_eq!(updated_fields(&world, calls), [fields]);
    let client = world.emulator.client(&client_id).unwrap();
    assert_eq!(
        (client.name.as_str(), client.token_lifetime_seconds),
        ("Storefront", 0)
    );
    world.check().await;
}

#[tokio::test]
async fn s36_drift_is_found_by_the_schedule_without_being_asked() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world
        .settled(
            "web",
            json!({ "rateLimitCount": 7, "refreshInterval": "1m" }),
        )
        .await;
    world.drift(&client_id, |client| client.rate_limit_count = 9);
    let corrected = async || world.emulator.client(&client_id).unwrap().rate_limit_count == 7;
    let interval = Duration::from_secs(75);
    world
        .eventually_within(interval, "corrected by itself", corrected)
        .await;
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn s36_report_names_the_drift_and_never_puts() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world
        .settled(
            "web",
            json!({ "rateLimitCount": 7, "driftPolicy": "Report" }),
        )
        .await;
    let calls = world.emulator.calls().len();
    world.drift(&client_id, |client| {
        client.rate_limit_count = 9;
        client.allowed_scopes.push("orders:read".to_owned());
    });
    let object = world.verify_now("web").await;
    assert!(is_ready(&object), "the Secret opens the client: Ready");
    let (status, reason, message) = condition_of(&object, ConditionType::Synced);
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", Reason::Drifted.as_str())
    );
    assert!(
        message.contains("rateLimitCount") && message.contains("allowedScopes"),
        "{message}"
    );
    // An edit is not sent either.
    world
        .patch("web", json!({ "spec": { "tokenLifetimeSeconds": 10800 } }))
        .await;
    let named = |object: &_| {
        condition_of(object, ConditionType::Synced)
            .2
            .contains("tokenLifetimeSeconds")
    };
    world.until("web", "the edit is reported", named).await;
    world.silence().await;
    assert_eq!(updated_fields(&world, calls), Vec::<Vec<String>>::new());

    world
        .patch("web", json!({ "spec": { "driftPolicy": "Correct" } }))
        .await;
    let synced = |object: &_| condition_of(object, ConditionType::Synced).0 == "True";
    world.until("web", "corrected", synced).await;
    assert_eq!(updated_fields(&world, calls).len(), 1);
    assert_eq!(
        world.emulator.client(&client_id).unwrap().rate_limit_count,
        7
    );
    world.check().await;
}

#[tokio::test]
async fn s37_a_value_the_vendor_normalises_is_put_once_and_told() {
    let world = World::start().await;
    let operator = world.start_operator();
    world
        .emulator
        .faults()
        .always(Operation::Create, Fault::Normalise);
    world
        .emulator
        .faults()
        .always(Operation::Update, Fault::Normalise);
    // Another order is equal; another spelling is not.
    let spec =
        json!({ "name": "Storefront", "redirectUris": ["https://b.example", "https://a.example"] });
    world.declare("web", spec).await;
    world
        .until_told(
            "web",
            Reason::UpdateNotApplied,
            &["name", "Set the vendor's value", "remove the field"],
        )
        .await;
    world.silence().await;
    assert_eq!(updated_fields(&world, 0), [["name"]]);
    let secret_ready = condition_of(&world.get("web").await, ConditionType::SecretReady);
    assert_eq!(secret_ready.0, "True", "the application works");

    // Neither a verification nor a restart fights over it.
    world.verify_now("web").await;
    operator.crash().await;
    let _operator = world.start_operator();
    world.verify_now("web").await;
    world.silence().await;
    assert_eq!(updated_fields(&world, 0).len(), 1);
    // The way out that the message names.
    world
        .patch("web", json!({ "spec": { "name": "storefront" } }))
        .await;
    world.until_ready("web").await;
    assert_eq!(updated_fields(&world, 0).len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s37_a_change_the_vendor_ignores_is_not_repeated_until_the_spec_changes() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({ "rateLimitCount": 7 })).await;
    let ignored = Fault::IgnoreFields(vec!["rateLimitCount".to_owned()]);
    world.emulator.faults().always(Operation::Update, ignored);
    let calls = world.emulator.calls().len();
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    world
        .until_told("web", Reason::UpdateNotApplied, &["rateLimitCount"])
        .await;
    world.verify_now("web").await;
    world.silence().await;
    assert_eq!(updated_fields(&world, calls), [["rateLimitCount"]]);
    world.emulator.faults().clear();
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 9 } }))
        .await;
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn a_correction_that_fails_is_pending_and_told() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({ "rateLimitCount": 7 })).await;
    world.drift(&client_id, |client| client.rate_limit_count = 9);
    let failing = Fault::answer(When::BeforeCommit, 500);
    world.emulator.faults().always(Operation::Update, failing);
    world.ask_for_verification("web").await;
    world
        .until_told("web", Reason::VendorUnavailable, &["500"])
        .await;
    world.emulator.faults().clear();
    world.until_ready("web").await;
    assert_eq!(
        world.emulator.client(&client_id).unwrap().rate_limit_count,
        7
    );
    world.check().await;
}

#[tokio::test]
async fn a_client_deactivated_at_the_vendor_stays_so_until_the_spec_says_otherwise() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    world.drift(&client_id, |client| client.is_active = false);
    let calls = world.emulator.calls().len();
    world.verify_now("web").await;
    let words = ["deactivated at the vendor", "spec.isActive: true"];
    world
        .until_told("web", Reason::DeactivatedAtVendor, &words)
        .await;
    // An edit of something else does not activate it.
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    world
        .until_vendor("the edit is sent", |vendor| {
            vendor.client(&client_id).unwrap().rate_limit_count == 8
        })
        .await;
    world.until_reason("web", Reason::DeactivatedAtVendor).await;
    world.silence().await;
    assert_eq!(updated_fields(&world, calls), [["rateLimitCount"]]);
    world
        .patch("web", json!({ "spec": { "isActive": true } }))
        .await;
    world.until_ready("web").await;
    assert!(world.emulator.client(&client_id).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn a_missing_client_is_told_acknowledged_and_ends_by_itself() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let missing = Rule {
        operation: Operation::Get,
        client: Some(client_id.clone()),
        fault: Fault::answer(When::BeforeCommit, 404),
        every: None,
        count: None,
    };
    world.emulator.faults().add(missing);
    operator.faults.forget();
    let object = world.verify_now("web").await;
    let (status, reason, message) = condition_of(&object, ConditionType::Ready);
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", Reason::ClientMissing.as_str())
    );
    assert!(
        message.contains("delete and recreate this OAuthClient"),
        "{message}"
    );
    assert_eq!(condition_of(&object, ConditionType::Synced).0, "False");
    world.silence().await;
    assert_eq!(
        writes(&operator.faults),
        these([("oauthclients/status", 1)])
    );
    assert!(world.secret("web").await.is_some(), "the Secret stays");
    // Still missing, still acknowledged; nothing is created by the machine.
    world.verify_now("web").await;
    assert_eq!(world.creates("web").len(), 1);

    world.emulator.faults().clear();
    world.verify_now("web").await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}
