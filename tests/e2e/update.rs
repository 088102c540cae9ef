//! An edit of the spec, a pause, and both ends of a client.

use provident_core::api::{EventReason, Reason};
use provident_emulator::{Call, Fault, Operation, When};
use serde_json::json;

use crate::more::reason;
use crate::world::{World, is_ready};

fn updates(world: &World) -> Vec<Call> {
    let calls = world.emulator.calls().into_iter();
    calls
        .filter(|call| call.operation == Operation::Update)
        .collect()
}

#[tokio::test]
async fn an_edit_sends_only_what_differs() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let spec = json!({ "redirectUris": ["https://a.example/cb"], "tokenLifetimeSeconds": 3600, "rateLimitCount": 5 });
    world.declare("web", spec).await;
    let client_id = world.until_ready("web").await;
    let edits = [
        (
            json!({ "redirectUris": ["https://b.example/cb"] }),
            vec!["redirectUris"],
        ),
        (
            json!({ "ipRestriction": true, "allowedIps": ["203.0.113.0/24"], "rateLimitCount": 6 }),
            vec!["allowedIps", "ipRestriction", "rateLimitCount"],
        ),
        (json!({ "isActive": false }), vec!["isActive"]),
        (json!({ "isActive": true }), vec!["isActive"]),
        // A field that is left out is no longer kept: nothing to send.
        (json!({ "tokenLifetimeSeconds": null }), vec![]),
        // Of no concern to the vendor.
        (
            json!({ "secret": { "labels": { "team": "shop" } } }),
            vec![],
        ),
    ];
    for (edit, fields) in edits {
        let before = updates(&world).len();
        world.patch("web", json!({ "spec": edit })).await;
        world.until_ready("web").await;
        let sent: Vec<_> = updates(&world)
            .split_off(before)
            .into_iter()
            .map(|call| call.fields)
            .collect();
        let wanted: Vec<Vec<String>> = [fields]
            .into_iter()
            .filter(|fields| !fields.is_empty())
            .map(|fields| fields.into_iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(sent, wanted, "{edit}");
        for fields in wanted {
            world
                .until_event_with(
                    "web",
                    EventReason::ClientUpdated,
                    &fields.iter().map(String::as_str).collect::<Vec<_>>(),
                )
                .await;
        }
    }
    let client = world.emulator.client(&client_id).unwrap();
    assert_eq!(client.redirect_uris, ["https://b.example/cb"]);
    assert_eq!(client.allowed_ips, ["203.0.113.0/24"]);
    assert_eq!(
        (client.rate_limit_count, client.token_lifetime_seconds),
        (6, 3600)
    );
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn both_deletion_policies_end_as_they_say() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("away", json!({})).await;
    world
        .declare("kept", json!({ "deletionPolicy": "Retain" }))
        .await;
    let (away, kept) = (
        world.until_ready("away").await,
        world.until_ready("kept").await,
    );
    let calls = world.emulator.calls().len();
    for name in ["away", "kept"] {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    assert!(!world.emulator.client(&away).unwrap().is_active);
    let collected = async || world.secret("away").await.is_none();
    world.eventually("the Secret is collected", collected).await;

    assert!(world.emulator.client(&kept).unwrap().is_active);
    let secret = world.secret("kept").await.unwrap();
    assert_eq!(secret.metadata.owner_references, None);
    let calls: Vec<_> = world.emulator.calls().split_off(calls);
    let asked: Vec<_> = calls
        .iter()
        .map(|call| (call.operation, call.client_id.clone()))
        .collect();
    assert_eq!(
        asked,
        [(Operation::Update, Some(away))],
        "Retain asks the vendor nothing"
    );
    world.check().await;
}

#[tokio::test]
async fn a_suspended_client_is_not_called_for_and_can_still_be_deleted() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("old", json!({})).await;
    let old = world.until_ready("old").await;
    world
        .patch(
            "old",
            json!({ "spec": { "suspend": true, "tokenLifetimeSeconds": 10800 } }),
        )
        .await;
    world.declare("new", json!({ "suspend": true })).await;
    world
        .until_told(
            "new",
            Reason::Suspended,
            &["spec.suspend is true", "Set it to false"],
        )
        .await;
    world.silence().await;
    assert_eq!(updates(&world), []);
    assert_eq!(world.creates("new"), []);

    world
        .patch("old", json!({ "spec": { "suspend": false } }))
        .await;
    world
        .patch("new", json!({ "spec": { "suspend": false } }))
        .await;
    world.until_ready("new").await;
    world.until_ready("old").await;
    assert_eq!(
        world.emulator.client(&old).unwrap().token_lifetime_seconds,
        10800
    );

    world
        .patch("old", json!({ "spec": { "suspend": true } }))
        .await;
    world.delete("old").await;
    world.until_gone("old").await;
    assert!(!world.emulator.client(&old).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn a_suspended_connection_holds_creates_and_deletions_and_tells_the_way_out() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("waits", json!({})).await;
    world.declare("leaves", json!({})).await;
    let waits = world.until_ready("waits").await;
    let leaves = world.until_ready("leaves").await;
    world.edit_connection(json!({ "suspend": true })).await;
    world.until_connection(Reason::Suspended).await;
    let calls = world.emulator.calls().len();

    // The connection tells; those behind it point at it.
    let reported = world.until_connection(Reason::Suspended).await;
    assert!(
        reported.contains("spec.suspend is true") && reported.contains("Set it to false"),
        "{reported}"
    );
    let command = format!(
        "kubectl describe clusterprovidentconnections.oauth.provident.ae {}",
        world.connection
    );
    world.declare("new", json!({})).await;
    let message = world.until_reason("new", Reason::ConnectionNotReady).await;
    assert!(message.contains(&command), "{message}");
    for name in ["waits", "leaves"] {
        world.delete(name).await;
        let words = ["Deletion waits", &command, "\"deletionPolicy\":\"Retain\""];
        world
            .until_told(name, Reason::ConnectionNotReady, &words)
            .await;
    }
    // The exit that the message names.
    world
        .patch("leaves", json!({ "spec": { "deletionPolicy": "Retain" } }))
        .await;
    world.until_gone("leaves").await;
    assert_eq!(
        world.emulator.calls().len(),
        calls,
        "no vendor call while suspended"
    );

    world.edit_connection(json!({ "suspend": false })).await;
    world.until_gone("waits").await;
    world.until_ready("new").await;
    assert!(!world.emulator.client(&waits).unwrap().is_active);
    assert!(world.emulator.client(&leaves).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn without_access_nothing_is_created_and_a_new_rule_is_obeyed_at_once() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let access = |namespace: &str, scope: &str| json!({ "access": [{ "namespaces": [namespace], "scopes": [scope] }] });
    world.edit_connection(access("somewhere-else", "*")).await;
    world.declare("web", json!({})).await;
    let words = ["spec.connectionRef", &world.namespace, "spec.access"];
    world.until_told("web", Reason::AccessDenied, &words).await;

    world
        .edit_connection(access(&world.namespace, "orders:read"))
        .await;
    world
        .eventually("the scope is named", async || {
            let events = world.get("web").await;
            let ready = crate::world::ready(&events).unwrap();
            ready.reason == Reason::AccessDenied.as_str()
                && ["listings:read", "spec.allowedScopes"]
                    .iter()
                    .all(|word| ready.message.contains(word))
        })
        .await;
    assert_eq!(world.creates("web"), []);
    world
        .edit_connection(access(&world.namespace, "listings:read"))
        .await;
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_never_called() {
    let world = World::start().await;
    let (base, port) = (world.emulator.base_url(), world.emulator.address().port());
    world
        .edit_connection(json!({ "baseUrl": format!("http://localhost:{port}/v2") }))
        .await;
    // Only now, so that no operator has ever seen the allowed host.
    let _operator = world.start_operator();
    world.declare("web", json!({})).await;
    let command = format!(
        "kubectl describe clusterprovidentconnections.oauth.provident.ae {}",
        world.connection
    );
    let message = world.until_reason("web", Reason::ConnectionNotReady).await;
    assert!(message.contains(&command), "{message}");
    let reported = world.until_connection(Reason::HostNotAllowed).await;
    let flag = format!("--allowed-internal-host http://localhost:{port}");
    assert!(
        reported.contains("spec.baseUrl") && reported.contains(&flag),
        "{reported}"
    );
    assert_eq!(world.emulator.calls(), []);

    world.edit_connection(json!({ "baseUrl": base })).await;
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn while_the_vendor_is_away_settled_clients_stay_ready_and_deletions_wait() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("settled", json!({})).await;
    world.declare("leaves", json!({})).await;
    world.until_ready("settled").await;
    let leaves = world.until_ready("leaves").await;
    for operation in [Operation::Create, Operation::Get, Operation::Update] {
        let away = Fault::Drop(When::BeforeCommit);
        world.emulator.faults().always(operation, away);
    }
    world.delete("leaves").await;
    let words = ["Deletion waits", "vendor was not reached", "deletionPolicy"];
    world
        .until_told("leaves", Reason::VendorUnavailable, &words)
        .await;
    world.until_connection(Reason::VendorUnavailable).await;
    let settled = world.get("settled").await;
    assert!(is_ready(&settled), "{}", reason(&settled));
    assert!(world.emulator.client(&leaves).unwrap().is_active);

    world.emulator.faults().clear();
    world.until_gone("leaves").await;
    assert!(!world.emulator.client(&leaves).unwrap().is_active);
    world.check().await;
}
