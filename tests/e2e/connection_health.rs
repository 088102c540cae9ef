//! A connection is Ready only by proof, and as what last happened says.

use provident_core::api::{ConditionType, Reason, find};
use provident_emulator::{Answer, Fault, Operation, Rule, When};
use serde_json::json;

use crate::world::{World, is_ready};

impl World {
    async fn connection_ready(&self) -> (String, String) {
        let status = self.connection_status().await;
        let ready = find(&status.conditions, ConditionType::Ready).unwrap();
        (ready.status.clone(), ready.reason.clone())
    }
}

fn answer(status: u16) -> Answer {
    Answer::new(When::BeforeCommit, status)
}

#[tokio::test]
async fn a_token_endpoint_that_issues_no_token_makes_no_connection_ready() {
    let world = World::start().await;
    let large = format!("{}{{}}", " ".repeat(2 * 1024 * 1024));
    let administrator = world.use_client_credentials().await;
    world.declare("storefront", json!({})).await;
    let mut operator = None;
    for (index, (response, says)) in [
        (
            answer(200).body("<!doctype html><p>Log in"),
            "no usable access token",
        ),
        (answer(204).body(""), "204"),
        (
            answer(302).header("Location", "https://login.example.com"),
            "302",
        ),
        (answer(404), "404"),
        (
            answer(200).body(r#"{"access_token":"t","token_type":"mac"}"#),
            "token_type is not Bearer",
        ),
        (
            answer(200).body(r#"{"access_token":"","token_type":"Bearer"}"#),
            "no usable access token",
        ),
        (
            answer(200).body(r#"{"access_token":"a\nb","token_type":"Bearer"}"#),
            "no usable access token",
        ),
        (
            answer(200).body(r#"{"access_token":["t"]}"#),
            "no usable access token",
        ),
        (answer(200).body(&large), "larger than 1 MiB"),
    ]
    .into_iter()
    .enumerate()
    {
        world.emulator.faults().clear();
        world
            .emulator
            .faults()
            .always(Operation::Token, Fault::Answer(response));
        // Another credential, so that nothing is known about it.
        world
            .put_administrator("another", &format!("secret-{index}"))
            .await;
        operator.get_or_insert_with(|| world.start_operator());
        world
            .until_connection_says(Reason::UnexpectedResponse, says)
            .await;
        assert_eq!(world.connection_ready().await.0, "False", "{says}");
    }
    let message = world
        .until_reason("storefront", Reason::ConnectionNotReady)
        .await;
    assert!(message.contains("UnexpectedResponse"), "{message}");
    assert_eq!(world.creates("storefront"), []);
    world.emulator.faults().clear();
    world
        .put_administrator(&administrator.client_id, &administrator.client_secret)
        .await;
    world.until_ready("storefront").await;
    world.until_connection(Reason::Available).await;
    world.check().await;
}

#[tokio::test]
async fn a_404_from_a_wrong_path_proves_nothing_and_a_creates_404_is_reported_on_the_connection() {
    let world = World::start().await;
    let base = world.emulator.base_url();
    let wrong = base.replace("/v2", "/v3");
    world.edit_connection(json!({ "baseUrl": wrong })).await;
    // A connection that no client names is not used.
    world
        .declare("storefront", json!({ "suspend": true }))
        .await;
    let _operator = world.start_operator();
    world
        .until_connection_says(Reason::Unverified, "404 with and without the credential")
        .await;
    assert_eq!(world.connection_ready().await.0, "Unknown");
    world
        .patch("storefront", json!({ "spec": { "suspend": false } }))
        .await;
    world
        .until_connection_says(Reason::UnexpectedResponse, "POST /oauth2/clients with 404")
        .await;
    assert_eq!(world.connection_ready().await.0, "False");
    let message = world
        .until_reason("storefront", Reason::ConnectionNotReady)
        .await;
    assert!(message.contains("404"), "{message}");
    world.edit_connection(json!({ "baseUrl": base })).await;
    world.until_ready("storefront").await;
    world.until_connection(Reason::Available).await;
    assert_eq!(world.connection_ready().await.0, "True");
    world.check().await;
}

#[tokio::test]
async fn a_web_server_that_answers_every_path_is_not_the_api() {
    for response in [
        answer(200).body("<!doctype html><p>Welcome"),
        answer(204).body(""),
        answer(301).header("Location", "https://www.example.com/"),
    ] {
        let world = World::start().await;
        for operation in [Operation::Get, Operation::Create] {
            world
                .emulator
                .faults()
                .always(operation, Fault::Answer(response.clone()));
        }
        let _operator = world.start_operator();
        world.declare("storefront", json!({})).await;
        world.until_connection(Reason::UnexpectedResponse).await;
        world
            .until_reason("storefront", Reason::ConnectionNotReady)
            .await;
        // Its 200 to a create would have an unknown outcome.
        assert_eq!(world.creates("storefront"), []);
        world.emulator.faults().clear();
        world.until_ready("storefront").await;
        world.until_connection(Reason::Available).await;
        world.check().await;
    }
}

#[tokio::test]
async fn what_the_vendor_answers_for_one_client_is_reported_on_that_client() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("healthy", json!({})).await;
    world.declare("broken", json!({})).await;
    world.until_ready("healthy").await;
    let broken = world.until_ready("broken").await;
    world.until_connection(Reason::Available).await;
    for (index, status) in [401, 403, 500, 503].into_iter().enumerate() {
        let lifetime = [10800, 21600][index % 2];
        let edit = json!({ "spec": { "tokenLifetimeSeconds": lifetime } });
        for operation in [Operation::Get, Operation::Update] {
            world.emulator.faults().add(Rule {
                operation,
                client: Some(broken.clone()),
                fault: Fault::Answer(answer(status)),
                every: None,
                count: None,
            });
        }
        world.patch("broken", edit.clone()).await;
        let message = world
            .until_reason("broken", Reason::VendorUnavailable)
            .await;
        assert!(
            message.contains("this client") && message.contains(&status.to_string()),
            "{message}"
        );
        world.patch("healthy", edit).await;
        world.until_ready("healthy").await;
        let (status, reason) = world.connection_ready().await;
        assert_eq!((status.as_str(), reason.as_str()), ("True", "Available"));
        world.emulator.faults().clear();
        world.until_ready("broken").await;
    }
    let about = world.connection_events("default", &world.connection).await;
    assert!(
        about.iter().all(|event| event.starts_with("Available")),
        "{about:#?}"
    );
    world.check().await;
}

#[tokio::test]
async fn one_429_to_a_probe_does_not_make_the_connection_unreachable() {
    let world = World::start().await;
    // Longer than what only the caller waits for: the create waits too.
    let slower = answer(429).header("Retry-After", "5");
    world
        .emulator
        .faults()
        .once(Operation::Get, Fault::Answer(slower));
    world.declare("storefront", json!({})).await;
    let _operator = world.start_operator();
    world.until_connection(Reason::VendorThrottled).await;
    assert_eq!(world.connection_ready().await.0, "Unknown");
    world.until_ready("storefront").await;
    world.until_connection(Reason::Available).await;
    let events = world.events("storefront").await;
    assert!(
        !events.iter().any(|event| event.contains("not reached")),
        "{events:#?}"
    );
    world.check().await;
}

#[tokio::test]
async fn a_refusal_of_a_request_without_a_spec_ends_with_the_next_try() {
    for status in [400, 409, 413, 422] {
        let world = World::start().await;
        let _operator = world.start_operator();
        world.declare("storefront", json!({})).await;
        let client_id = world.until_ready("storefront").await;
        world
            .emulator
            .faults()
            .once(Operation::Get, Fault::Answer(answer(status)));
        let drifted = world.emulator.edit(&client_id, |client| {
            client.token_lifetime_seconds = 10800;
        });
        assert!(drifted);
        world
            .patch(
                "storefront",
                json!({ "spec": { "tokenLifetimeSeconds": 21600 } }),
            )
            .await;
        let message = world
            .until_reason("storefront", Reason::VendorUnavailable)
            .await;
        assert!(message.contains(&status.to_string()), "{message}");
        world.until("storefront", "Ready", is_ready).await;
        let client = world.emulator.client(&client_id).unwrap();
        assert_eq!(client.token_lifetime_seconds, 21600);

        world
            .emulator
            .faults()
            .once(Operation::Update, Fault::Answer(answer(status)));
        world.delete("storefront").await;
        world.until_gone("storefront").await;
        assert!(!world.emulator.client(&client_id).unwrap().is_active);
        world.check().await;
    }
}
