//! The paths beside the vendor's API: for trials by hand and for measurements.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use provident_emulator::{Emulator, Fault, Operation, Rule, When};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{Caller, plain, start, text};

async fn beside(
    emulator: &Emulator,
    method: Method,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http
        .request(method, format!("http://{}{path}", emulator.address()))
        .bearer_auth(emulator.token())
        .body(body.to_string());
    let answer = request.send().await.unwrap();
    let (status, bytes) = (answer.status(), answer.bytes().await.unwrap());
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_fault_can_be_meant_for_every_third_call() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    emulator.faults().add(Rule {
        operation: Operation::Create,
        client: None,
        fault: Fault::answer(When::BeforeCommit, 429),
        every: NonZeroU32::new(3),
        count: None,
    });
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(caller.create(plain("Storefront")).await.status);
    }
    assert_eq!(answers, [201, 201, 429, 201, 201, 429]);
}

#[tokio::test]
async fn calls_are_counted_for_those_who_may_ask() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    caller.created("Storefront").await;
    assert_eq!(caller.get("nobody").await.status, 404);
    let (status, reported) = beside(&emulator, Method::GET, "/calls", Value::Null).await;
    assert_eq!(status, 200);
    let operations = json!({ "create": { "read": 1, "done": 1 }, "get": { "read": 1, "done": 0 } });
    assert_eq!(
        reported,
        json!({ "operations": operations, "mostInFlight": 1 })
    );
    for path in ["/calls", "/clients"] {
        let bare = reqwest::get(format!("http://{}{path}", emulator.address())).await;
        assert_eq!(bare.unwrap().status(), 401, "{path}");
    }
}

#[tokio::test]
async fn all_clients_are_told_with_their_secrets() {
    let emulator = start().await;
    let client = Caller::of(&emulator).created("Storefront").await;
    let (_, reported) = beside(&emulator, Method::GET, "/clients", Value::Null).await;
    assert_eq!(reported, json!([client]));
    assert!(!text(&reported[0], "clientSecret").is_empty());
}

#[tokio::test]
async fn a_latency_holds_for_every_operation_until_faults_are_cleared() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let latency = json!({ "milliseconds": 1500 });
    let (status, _) = beside(&emulator, Method::PUT, "/latency", latency).await;
    assert_eq!(status, 204);
    let begun = Instant::now();
    caller.get("nobody").await;
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    let (status, _) = beside(&emulator, Method::PUT, "/latency", json!({ "seconds": 1 })).await;
    assert_eq!(status, 400, "an unknown field is no latency");
    emulator.faults().clear();
    let begun = Instant::now();
    caller.get("nobody").await;
    assert!(begun.elapsed() < Duration::from_millis(1500));
}
