//! What the administration API refuses, rule by rule.

use provident_emulator::Operation;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, plain, start, text};

/// Values of a field that both create and update refuse, with the status they refuse it with.
fn bad_values() -> Vec<(&'static str, Value, u16)> {
    vec![
        ("name", json!(7), 400),
        ("name", json!(null), 400),
        ("redirectUris", json!("https://shop.example.com"), 400),
        ("redirectUris", json!(["/auth/callback"]), 400),
        ("redirectUris", json!(["shop.example.com"]), 400),
        ("redirectUris", json!([1]), 400),
        ("allowedScopes", json!(null), 400),
        (
            "allowedScopes",
            json!(["listings:read", "listings:destroy"]),
            422,
        ),
        ("tokenLifetimeSeconds", json!("3600"), 400),
        ("tokenLifetimeSeconds", json!(60), 400),
        ("tokenLifetimeSeconds", json!(null), 400),
        ("rateLimitCount", json!(-1), 400),
        ("rateLimitCount", json!(1.5), 400),
        ("rateLimitCount", json!(-1.0), 400),
        ("rateLimitCount", json!(1e300), 400),
        ("rateLimitWindowSeconds", json!(0), 400),
        ("rateLimitWindowSeconds", json!(-5), 400),
        ("ipRestriction", json!("yes"), 400),
        ("ip_restriction", json!(true), 400),
        ("allowedIps", json!(["203.0.113.300"]), 400),
        ("allowedIps", json!(["203.0.113.0/33"]), 400),
        ("allowedIps", json!(["shop.example.com"]), 400),
        ("ipRestriction", json!(true), 400),
        ("id", json!("mine"), 400),
        ("clientId", json!("mine"), 400),
        ("clientSecret", json!("mine"), 400),
        ("surprise", json!(1), 400),
    ]
}

#[tokio::test]
async fn create_refuses_what_the_document_does_not_allow_and_makes_nothing() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    for (field, value, status) in bad_values() {
        let mut body = plain("Storefront");
        body[field] = value;
        let answer = caller.create(body.clone()).await;
        assert_eq!(answer.status, status, "{body}");
        let code = if status == 422 {
            "invalid_scope"
        } else {
            "invalid_request"
        };
        assert_eq!(answer.error_code(), code, "{body}");
    }
    for field in ["name", "redirectUris", "allowedScopes"] {
        let mut body = plain("Storefront");
        body.as_object_mut().unwrap().remove(field);
        let answer = caller.create(body).await;
        assert_eq!(answer.status, 400, "{field}");
        assert!(
            text(&answer.json(), "message").contains(field),
            "{answer:?}"
        );
    }
    // isActive is a field of the update only.
    let mut body = plain("Storefront");
    body["isActive"] = false.into();
    assert_eq!(caller.create(body).await.status, 400);
    assert_eq!(emulator.clients(), []);
    assert_eq!(emulator.commits(Operation::Create), 0);
}

#[tokio::test]
async fn update_refuses_what_the_document_does_not_allow_and_changes_nothing() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    for (field, value, status) in bad_values() {
        let mut body = json!({ "name": "Changed" });
        body[field] = value;
        assert_eq!(
            caller.update(id, body.clone()).await.status,
            status,
            "{body}"
        );
    }
    assert_eq!(
        caller.update(id, json!({ "isActive": "no" })).await.status,
        400
    );
    assert_eq!(caller.get(id).await.json(), client);
    assert_eq!(emulator.commits(Operation::Update), 0);
}

#[tokio::test]
async fn every_administration_call_needs_the_bearer_token_in_force() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    let path = format!("/v2/oauth2/clients/{id}");
    let calls = [
        (
            Method::POST,
            "/v2/oauth2/clients".to_owned(),
            plain("Thief").to_string(),
        ),
        (Method::GET, path.clone(), String::new()),
        (
            Method::PUT,
            path.clone(),
            json!({ "name": "Stolen" }).to_string(),
        ),
        (Method::POST, format!("{path}/rotate-secret"), String::new()),
    ];
    let basic = format!("Basic {}", emulator.token());
    for (method, path, body) in calls {
        for header in [
            None,
            Some("Bearer wrong"),
            Some("Bearer"),
            Some(basic.as_str()),
        ] {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(header.map(|value| ("authorization", value)));
            let answer = caller.raw(method.clone(), &path, &headers, &body).await;
            assert_eq!(
                (answer.status, answer.error_code().as_str()),
                (401, "unauthorized"),
                "{method} {path} {header:?}"
            );
        }
    }
    assert_eq!(caller.get(id).await.json(), client);

    emulator.set_token("another");
    assert_eq!(caller.get(id).await.status, 401);
    assert_eq!(caller.with_token("another").get(id).await.status, 200);
}

#[tokio::test]
async fn only_documented_operations_exist_and_others_are_noticed() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let path = format!("/oauth2/clients/{}", text(&client, "clientId"));
    assert_eq!(
        caller
            .call(Method::GET, "/oauth2/clients", None)
            .await
            .status,
        405
    );
    assert_eq!(caller.call(Method::DELETE, &path, None).await.status, 405);
    assert_eq!(
        caller
            .call(Method::GET, "/oauth2/clients/", None)
            .await
            .status,
        404
    );
    assert_eq!(emulator.count(Operation::Undocumented), 3);
}

#[tokio::test]
async fn bodies_must_be_json_said_to_be_json_and_small() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let authorization = format!("Bearer {}", emulator.token());
    let send = async |content_type: &str, body: &str| {
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", content_type),
        ];
        caller
            .raw(Method::POST, "/v2/oauth2/clients", &headers, body)
            .await
            .status
    };
    let good = plain("Storefront").to_string();
    assert_eq!(send("application/json; charset=utf-8", &good).await, 201);
    assert_eq!(send("text/plain", &good).await, 415);
    assert_eq!(send("application/json", &good[1..]).await, 400);
    assert_eq!(send("application/json", "").await, 400);
    assert_eq!(
        send(
            "application/json",
            &format!("{good}{}", " ".repeat(64 * 1024))
        )
        .await,
        413
    );
    assert_eq!(emulator.clients().len(), 1);
}
