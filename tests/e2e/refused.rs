//! Creates that are known not to have made anything: made again by themselves, or after an edit, and never held.

use jiff::ToSpan;
use provident_core::api::Reason;
use provident_emulator::{Answer, Emulator, Fault, Operation, Options, Rule, When};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::world::{World, attempt, is_stalled};

#[tokio::test]
async fn s11_a_vendor_that_refuses_the_connection_is_tried_again_and_nothing_is_held() {
    let mut world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let (address, token) = (world.emulator.address(), world.emulator.token());
    // Bound and not listening: the address stays ours, and refuses.
    let elsewhere = Emulator::start(Options::default()).await.unwrap();
    std::mem::replace(&mut world.emulator, elsewhere)
        .stop()
        .await;
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.set_reuseaddr(true).unwrap();
    refusing.bind(address).unwrap();
    world.declare("storefront", json!({})).await;
    let message = world
        .until_dropped("storefront", Reason::VendorUnavailable)
        .await;
    assert!(message.contains("not reached"), "{message}");

    drop(refusing);
    let options = Options {
        listen: address,
        token: Some(token),
        ..Options::default()
    };
    world.emulator = Emulator::start(options).await.unwrap();
    world.until_ready("storefront").await;
    assert_eq!(world.creates("storefront").len(), 1);
    // The first one's client went with the former emulator's memory, and nobody has a reason to look.
    world.delete_without_vendor("first").await;
    world.check().await;
}

#[tokio::test]
async fn s11_a_name_that_is_unknown_and_a_server_without_tls_are_no_attempts() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let right = world.emulator.base_url();
    // A client makes the operator look at the connection, which it does not if nobody uses it.
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    for (name, wrong) in [
        ("by-name", "http://nowhere.invalid".to_owned()),
        ("by-tls", right.replace("http://", "https://")),
    ] {
        world.edit_connection(json!({ "baseUrl": wrong })).await;
        world.until_connection(Reason::VendorUnavailable).await;
        world.declare(name, json!({})).await;
        world.until_dropped(name, Reason::VendorUnavailable).await;
        world.edit_connection(json!({ "baseUrl": right })).await;
        world.until_ready(name).await;
        assert_eq!(world.creates(name).len(), 1);
    }
    world.check().await;
}

#[tokio::test]
async fn s12_what_the_vendor_rejects_waits_for_an_edit_and_is_not_sent_again() {
    let world = World::start().await;
    let operator = world.start_operator();
    let statuses = [400, 409, 413, 422];
    for status in statuses {
        let name = format!("rejected-{status}");
        world.emulator.faults().add(Rule {
            operation: Operation::Create,
            client: Some(world.vendor_name(&name)),
            fault: Fault::answer(When::BeforeCommit, status),
            every: None,
            count: Some(1),
        });
        world.declare(&name, json!({})).await;
        let message = world.until_reason(&name, Reason::SpecRejected).await;
        assert!(
            message.contains(&status.to_string()) && message.contains("Edit"),
            "{message}"
        );
        assert_eq!(attempt(&world.get(&name).await), None);
    }
    operator.crash().await;
    let _operator = world.start_operator();
    world.silence().await;
    for status in statuses {
        let name = format!("rejected-{status}");
        assert_eq!(
            world.creates(&name).len(),
            1,
            "{name}: not again, a restart or not"
        );
        world
            .patch(&name, json!({ "spec": { "tokenLifetimeSeconds": 86400 } }))
            .await;
    }
    for status in statuses {
        world.until_ready(&format!("rejected-{status}")).await;
    }
    world.check().await;
}

#[tokio::test]
async fn s12_an_unknown_scope_is_told_and_ends_with_an_edit() {
    let world = World::start().await;
    world.emulator.faults().set_echo_secrets_in_errors(true);
    let _operator = world.start_operator();
    let unknown = json!({ "allowedScopes": ["listings:read", "no-such:scope"] });
    world.declare("storefront", unknown).await;
    let message = world.until_reason("storefront", Reason::SpecRejected).await;
    assert!(message.contains("422"), "{message}");
    let event = format!("{}: {message}", Reason::SpecRejected.as_str());
    world.until_event("storefront", &event).await;
    assert_eq!(world.creates("storefront").len(), 1);
    world
        .patch(
            "storefront",
            json!({ "spec": { "allowedScopes": ["listings:read"] } }),
        )
        .await;
    world.until_ready("storefront").await;
    assert_eq!(world.creates("storefront").len(), 2);
    world.check().await;
}

#[tokio::test]
async fn s12_401_403_and_404_to_a_create_end_by_themselves() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    for status in [401, 403, 404, 405] {
        world
            .emulator
            .faults()
            .once(Operation::Create, Fault::answer(When::BeforeCommit, status));
        let name = format!("refused-{status}");
        world.declare(&name, json!({})).await;
        world.until_ready(&name).await;
        assert_eq!(world.creates(&name).len(), 2, "{name}: refused, then made");
    }
    world.check().await;
}

#[tokio::test]
async fn s12_a_wrong_token_is_told_and_its_repair_is_used_within_seconds() {
    let world = World::start().await;
    world.emulator.faults().set_echo_secrets_in_errors(true);
    let operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    world.silence().await;
    world.emulator.set_token("another-token-of-the-vendor");
    world.declare("storefront", json!({})).await;
    let message = world
        .until_reason("storefront", Reason::ConnectionNotReady)
        .await;
    assert!(
        message.contains("token") && message.contains("Secret"),
        "{message}"
    );
    world.until_connection(Reason::CredentialsRejected).await;
    assert!(!is_stalled(&world.get("storefront").await));

    let repaired = jiff::Timestamp::now();
    world.put_token("another-token-of-the-vendor\n").await;
    world.until_ready("storefront").await;
    let posts = world.creates("storefront");
    let made = posts.last().unwrap();
    assert!(made.committed);
    assert!(
        made.at < repaired.saturating_add(10.seconds()).unwrap(),
        "{made:#?} came long after {repaired}"
    );
    world.until_connection(Reason::Available).await;
    drop(operator);
    world.check().await;
}

#[tokio::test]
async fn s13_retry_after_is_kept_by_all_clients_of_the_connection_and_nothing_is_held() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let slower = Answer::new(When::BeforeCommit, 429).header("Retry-After", "4");
    world
        .emulator
        .faults()
        .once(Operation::Create, Fault::Answer(slower));
    world.declare("limited", json!({})).await;
    let message = world
        .until_dropped("limited", Reason::VendorThrottled)
        .await;
    assert!(message.contains("retries automatically"), "{message}");
    world.declare("neighbour", json!({})).await;
    world.until_ready("limited").await;
    world.until_ready("neighbour").await;

    let (refused, made) = (&world.creates("limited")[0], &world.creates("limited")[1]);
    let neighbour = &world.creates("neighbour")[0];
    for call in [made, neighbour] {
        let wait = refused.at.duration_until(call.at);
        assert!(
            wait >= jiff::SignedDuration::from_secs(4),
            "{call:#?} after {wait:?}"
        );
    }
    assert_eq!(world.creates("limited").len(), 2);
    assert_eq!(world.creates("neighbour").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s13_429_without_a_usable_retry_after_still_ends() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    for (index, retry_after) in [None, Some("soon"), Some("Thu, 01 Jan 1970 00:00:00 GMT")]
        .into_iter()
        .enumerate()
    {
        let mut slower = Answer::new(When::BeforeCommit, 429);
        if let Some(value) = retry_after {
            slower = slower.header("Retry-After", value);
        }
        world
            .emulator
            .faults()
            .once(Operation::Create, Fault::Answer(slower));
        let name = format!("limited-{index}");
        world.declare(&name, json!({})).await;
        world.until_ready(&name).await;
        assert_eq!(world.creates(&name).len(), 2, "{retry_after:?}");
    }
    world.check().await;
}
