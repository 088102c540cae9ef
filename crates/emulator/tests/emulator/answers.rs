//! Answers in every form, the hostile ones too.

use std::time::{Duration, Instant};

use provident_emulator::{Emulator, Fault, Operation, Options, When};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller, create_with, plain, start, text};

#[tokio::test]
async fn a_slow_body_arrives_byte_by_byte_and_whole() {
    let emulator = start().await;
    emulator.faults().once(
        Operation::Create,
        Fault::SlowBody {
            milliseconds_per_byte: 2,
        },
    );
    let began = Instant::now();
    let mut response = Caller::of(&emulator)
        .head(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
        .await
        .unwrap();
    let mut body = Vec::new();
    let mut chunks = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend(chunk);
        chunks += 1;
    }
    let client: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(client["name"], "Storefront");
    assert!(chunks > 20, "{chunks} chunks");
    assert!(began.elapsed() >= Duration::from_millis(2) * u32::try_from(body.len()).unwrap());
}

#[tokio::test]
async fn a_huge_body_is_made_while_it_is_read() {
    let emulator = start().await;
    // Far more than this machine could hold: it starts at once, and ends when the caller has had enough.
    emulator
        .faults()
        .once(Operation::Create, Fault::HugeBody { bytes: 1 << 45 });
    let mut response = Caller::of(&emulator)
        .head(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
        .await
        .unwrap();
    let mut read = 0;
    while read < 8 << 20 {
        read += response
            .chunk()
            .await
            .unwrap()
            .expect("more of the body")
            .len();
    }
    drop(response);

    let answer = create_with(&emulator, Fault::HugeBody { bytes: 100_001 })
        .await
        .unwrap();
    assert!(answer.text.len() > 100_001 && answer.text[..100_001].bytes().all(|byte| byte == b' '));
    assert_eq!(answer.json()["name"], "Storefront");
}

#[tokio::test]
async fn a_truncated_body_ends_in_the_middle_of_what_was_promised() {
    let emulator = start().await;
    emulator
        .faults()
        .once(Operation::Create, Fault::TruncatedBody);
    let mut response = Caller::of(&emulator)
        .head(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let promised = response.content_length().unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first.len() as u64, promised / 2);
    let error = response.chunk().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(emulator.clients().len(), 1);
}

#[tokio::test]
async fn successes_that_say_nothing_or_too_much() {
    let emulator = start().await;
    let empty = create_with(&emulator, Fault::EmptyBody).await.unwrap();
    assert_eq!((empty.status, empty.text.as_str()), (201, ""));
    let html = create_with(&emulator, Fault::HtmlBody).await.unwrap();
    assert_eq!(
        (html.status, &html.headers["content-type"]),
        (201, &"text/html".parse().unwrap())
    );
    assert!(html.text.starts_with("<!doctype html>"));
    let accepted = create_with(&emulator, Fault::Status(202)).await.unwrap();
    assert_eq!(
        (accepted.status, &accepted.json()["name"]),
        (202, &json!("Storefront"))
    );
    let without = create_with(&emulator, Fault::WithoutSecret)
        .await
        .unwrap()
        .json();
    assert!(without.get("clientSecret").is_none() && without.get("clientId").is_some());
    let deep = create_with(&emulator, Fault::DeepJson { depth: 5000 })
        .await
        .unwrap();
    let error = serde_json::from_str::<Value>(&deep.text)
        .unwrap_err()
        .to_string();
    assert!(error.contains("recursion limit"), "{error}");
    assert!(deep.text.contains("\"clientId\"") && deep.text.ends_with("]]}"));
    assert_eq!(
        create_with(&emulator, Fault::DeepJson { depth: 3 })
            .await
            .unwrap()
            .json()["extra"],
        json!([[[]]])
    );
    let headers = create_with(&emulator, Fault::HeaderBomb { count: 60 })
        .await
        .unwrap()
        .headers;
    assert_eq!(
        headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-filler-"))
            .count(),
        60
    );
    // More than hyper's client reads.
    create_with(&emulator, Fault::HeaderBomb { count: 2000 })
        .await
        .unwrap_err();
    assert_eq!(
        emulator.commits(Operation::Create),
        8,
        "all of them were carried out"
    );
}

#[tokio::test]
async fn errors_repeat_secrets_when_told_to() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, secret) = (text(&client, "clientId"), text(&client, "clientSecret"));
    let holds = |answer: &Answer, secret: &str| {
        let header = answer
            .headers
            .get("x-request-echo")
            .is_some_and(|value| value.to_str().unwrap().contains(secret));
        (header, answer.text.contains(secret))
    };
    let quiet = caller.update(id, json!({ "surprise": 1 })).await;
    assert_eq!(
        (holds(&quiet, secret), holds(&quiet, &emulator.token())),
        ((false, false), (false, false))
    );

    emulator.faults().set_echo_secrets_in_errors(true);
    let loud = caller.update(id, json!({ "surprise": 1 })).await;
    assert_eq!(
        (holds(&loud, secret), holds(&loud, &emulator.token())),
        ((true, true), (true, true))
    );
    let lost = create_with(&emulator, Fault::answer(When::AfterCommit, 503))
        .await
        .unwrap();
    let made = emulator
        .clients()
        .into_iter()
        .find(|client| client.client_id != id)
        .unwrap();
    assert_eq!(
        holds(&lost, &made.client_secret),
        (true, true),
        "the answer that was lost is in the error"
    );
}

#[tokio::test]
async fn answers_stand_in_an_envelope_and_numbers_are_floats_when_told_to() {
    let emulator = Emulator::start(Options {
        envelope: true,
        ..Options::default()
    })
    .await
    .unwrap();
    let caller = Caller::of(&emulator);
    let body = caller.create(plain("Storefront")).await.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    let id = text(&body["data"], "clientId");
    for answer in [
        caller.get(id).await,
        caller.update(id, json!({})).await,
        caller.rotate(id).await,
    ] {
        assert!(
            answer.json()["data"]["clientSecret"].is_string(),
            "{answer:?}"
        );
    }
    assert!(
        caller.get("nobody").await.json().get("data").is_none(),
        "errors are bare"
    );

    emulator.faults().set_envelope(false);
    emulator.faults().set_float_numbers(true);
    let answer = caller.get(id).await;
    for number in [
        "\"tokenLifetimeSeconds\":3600.0",
        "\"rateLimitCount\":200.0",
        "\"rateLimitWindowSeconds\":43200.0",
    ] {
        assert!(answer.text.contains(number), "{number} in {}", answer.text);
    }
}
