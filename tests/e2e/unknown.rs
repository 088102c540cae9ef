//! Creates with an unknown outcome: held, visibly, and while the vendor is away no other is sent.

use provident_core::api::Reason;
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::json;

use crate::world::{World, attempt, is_stalled, ready};

impl World {
    /// This happens to the first create of that object.
    fn spoil(&self, name: &str, fault: Fault) {
        self.emulator.faults().add(Rule {
            operation: Operation::Create,
            client: Some(self.vendor_name(name)),
            fault,
            every: None,
            count: Some(1),
        });
    }

    /// Declares it and waits until it is held: one POST, no Secret, and a person is asked. Returns the message.
    async fn held(&self, name: &str) -> String {
        self.declare(name, json!({})).await;
        let message = self.until_reason(name, Reason::CreateOutcomeUnknown).await;
        let object = self.get(name).await;
        assert!(
            is_stalled(&object) && attempt(&object).is_some(),
            "{object:#?}"
        );
        assert_eq!(self.creates(name).len(), 1, "{name}");
        assert!(self.secret(name).await.is_none());
        message
    }
}

#[tokio::test]
async fn s09_no_answer_is_held_with_a_message_that_tells_what_to_look_for() {
    let world = World::start().await;
    world.emulator.faults().set_echo_secrets_in_errors(true);
    world.spoil("storefront", Fault::Drop(When::AfterCommit));
    let _operator = world.start_operator();
    let message = world.held("storefront").await;
    let began = world.get("storefront").await.status.unwrap();
    let began = began.create_attempt.unwrap().start_time.0.to_string();
    assert!(message.contains(&began), "{message}");
    assert!(
        message.contains(&world.vendor_name("storefront")),
        "{message}"
    );
    let event = format!("{}: {message}", Reason::CreateOutcomeUnknown.as_str());
    world.until_event("storefront", &event).await;

    // Held stays held: through edits, and with a vendor that is well again.
    world
        .patch(
            "storefront",
            json!({ "spec": { "tokenLifetimeSeconds": 86400 } }),
        )
        .await;
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    world.silence().await;
    assert_eq!(world.creates("storefront").len(), 1);

    // Deleting it lets it go, and the event says what may be left.
    let id = attempt(&world.get("storefront").await).unwrap();
    world.delete("storefront").await;
    world.until_gone("storefront").await;
    let events = world.events("storefront").await;
    assert!(
        events
            .iter()
            .any(|event| event.contains("Released") && event.contains(&id)),
        "{events:#?}"
    );
    world.check().await;
}

#[tokio::test]
async fn s10_a_body_without_a_readable_client_is_held() {
    let world = World::start().await;
    let _operator = world.start_operator();
    for (name, fault) in [
        ("empty", Fault::EmptyBody),
        ("html", Fault::HtmlBody),
        ("truncated", Fault::TruncatedBody),
        (
            "foreign-form",
            Fault::WrongClientId("../oauth2/clients".to_owned()),
        ),
    ] {
        world.spoil(name, fault);
        world.held(name).await;
    }
    world.check().await;
}

#[tokio::test]
async fn s10_an_envelope_is_read_and_an_answer_without_a_secret_is_completed_by_get() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.emulator.faults().set_envelope(true);
    world.emulator.faults().set_float_numbers(true);
    world
        .declare("enveloped", json!({ "tokenLifetimeSeconds": 3600 }))
        .await;
    world.until_ready("enveloped").await;
    world.spoil("secretless", Fault::WithoutSecret);
    world.declare("secretless", json!({})).await;
    let client_id = world.until_ready("secretless").await;
    world.spoil("accepted", Fault::Status(202));
    world.declare("accepted", json!({})).await;
    world.until_ready("accepted").await;
    for name in ["enveloped", "secretless", "accepted"] {
        assert_eq!(world.creates(name).len(), 1, "{name}");
    }
    let calls = world.emulator.calls();
    let read = |call: &provident_emulator::Call| {
        call.operation == Operation::Get && call.client_id.as_ref() == Some(&client_id)
    };
    assert!(calls.iter().any(read), "{calls:#?}");
    world.check().await;
}

#[tokio::test]
async fn s10_an_answer_with_a_client_that_is_not_new_is_held() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    let first = world.until_ready("first").await;
    world.spoil("same", Fault::ExistingClient(first.clone()));
    world.spoil(
        "old",
        Fault::CreatedAt("2020-01-01T00:00:00Z".parse().unwrap()),
    );
    for name in ["same", "old"] {
        world.declare(name, json!({})).await;
        let message = world
            .until_reason(name, Reason::ExistingClientReturned)
            .await;
        assert!(message.contains("existed before"), "{message}");
        assert!(is_stalled(&world.get(name).await));
        assert!(world.secret(name).await.is_none());
        assert_eq!(world.creates(name).len(), 1);
    }
    assert!(world.emulator.client(&first).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn s14_every_5xx_is_held_whether_the_vendor_took_the_post_or_not() {
    let world = World::start().await;
    let _operator = world.start_operator();
    for status in [500, 502, 503, 504, 408] {
        for (when, word) in [(When::BeforeCommit, "before"), (When::AfterCommit, "after")] {
            let name = format!("{word}-{status}");
            world.spoil(&name, Fault::answer(when, status));
            world.held(&name).await;
        }
    }
    world.silence().await;
    for status in [500, 502, 503, 504, 408] {
        for word in ["before", "after"] {
            assert_eq!(
                world.creates(&format!("{word}-{status}")).len(),
                1,
                "a blind retry"
            );
        }
    }
    // The vendor is well, and who comes now is served.
    world.declare("next", json!({})).await;
    world.until_ready("next").await;
    world.check().await;
}

#[tokio::test]
async fn s14_an_unknown_outcome_stops_all_creates_until_a_probe_is_answered() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    world.silence().await;
    // An outage: whatever is asked, the gateway says 503.
    for operation in [Operation::Create, Operation::Get] {
        world
            .emulator
            .faults()
            .always(operation, Fault::answer(When::BeforeCommit, 503));
    }
    world.held("lost").await;
    let names: Vec<_> = (0..5).map(|index| format!("waiting-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    let before = world.emulator.count(Operation::Get);
    for name in &names {
        let message = world.until_reason(name, Reason::VendorUnavailable).await;
        assert!(message.contains("retries automatically"), "{message}");
    }
    let probed =
        |emulator: &provident_emulator::Emulator| emulator.count(Operation::Get) >= before + 2;
    world.until_vendor("probed twice more", probed).await;
    assert_eq!(
        world.emulator.count(Operation::Create),
        2,
        "the first's and the lost one's"
    );
    let still = world.get("first").await;
    assert_eq!(
        ready(&still).unwrap().status,
        "True",
        "an outage is the connection's to tell"
    );

    world.emulator.faults().clear();
    for name in &names {
        world.until_ready(name).await;
        assert_eq!(world.creates(name).len(), 1);
    }
    assert!(
        is_stalled(&world.get("lost").await),
        "a probe does not tell what became of it"
    );
    world.check().await;
}
