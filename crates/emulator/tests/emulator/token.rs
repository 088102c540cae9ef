//! The token endpoint: RFC 6749 section 4.4.

use provident_emulator::{Fault, Operation};
use reqwest::Method;
use serde_json::json;

use crate::caller::{Caller, start, text};

#[tokio::test]
async fn good_credentials_get_a_token_that_is_theirs() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    // The RFC fixes this answer's shape: an envelope would break every OAuth library.
    emulator.faults().set_envelope(true);
    let answer = caller
        .token(text(&client, "clientId"), text(&client, "clientSecret"))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 3600);
    assert_eq!(body["scope"], "listings:read");
    let owner = emulator
        .token_owner(text(&body, "access_token"))
        .expect("the token is known");
    assert_eq!(owner.client_id, text(&client, "clientId"));
    assert!(emulator.token_owner("made-up").is_none());
}

#[tokio::test]
async fn credentials_that_are_wrong_or_disabled_are_invalid_client() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, secret) = (text(&client, "clientId"), text(&client, "clientSecret"));
    let token = text(&caller.token(id, secret).await.json(), "access_token").to_owned();

    for (id, secret) in [(id, "wrong"), ("nobody", secret), (id, "")] {
        let answer = caller.token(id, secret).await;
        assert_eq!(
            (answer.status, answer.error_code().as_str()),
            (401, "invalid_client")
        );
    }
    caller.update(id, json!({ "isActive": false })).await;
    assert_eq!(
        caller.token(id, secret).await.error_code(),
        "invalid_client"
    );
    assert!(
        emulator.token_owner(&token).is_none(),
        "a disabled client's token is worth nothing"
    );
    caller.update(id, json!({ "isActive": true })).await;
    assert_eq!(caller.token(id, secret).await.status, 200);
}

#[tokio::test]
async fn a_lifetime_of_zero_is_a_token_that_stays() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, secret) = (text(&client, "clientId"), text(&client, "clientSecret"));
    caller
        .update(id, json!({ "tokenLifetimeSeconds": 0 }))
        .await;
    let body = caller.token(id, secret).await.json();
    assert_eq!(body["expires_in"], 0);
    assert!(emulator.token_owner(text(&body, "access_token")).is_some());
}

#[tokio::test]
async fn malformed_token_requests_are_told_what_is_wrong() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, secret) = (text(&client, "clientId"), text(&client, "clientSecret"));
    let form = "application/x-www-form-urlencoded";
    let good = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let cases = [
        (form, format!("{good}&scope=anything"), 200, ""),
        (
            "application/json",
            good.clone(),
            415,
            "unsupported_media_type",
        ),
        (
            form,
            format!("{good}&client_id={id}"),
            400,
            "invalid_request",
        ),
        (
            form,
            format!("client_id={id}&client_secret={secret}"),
            400,
            "invalid_request",
        ),
        (
            form,
            format!("grant_type=client_credentials&client_id={id}"),
            400,
            "invalid_request",
        ),
        (
            form,
            good.replace("client_credentials", "password"),
            400,
            "unsupported_grant_type",
        ),
    ];
    for (content_type, body, status, code) in cases {
        let answer = caller
            .raw(
                Method::POST,
                "/v2/oauth2/token",
                &[("content-type", content_type)],
                &body,
            )
            .await;
        assert_eq!(answer.status, status, "{body}");
        if status != 200 {
            assert_eq!(answer.error_code(), code, "{body}");
        }
    }
}

#[tokio::test]
async fn an_administrators_tokens_open_the_api_until_they_are_revoked() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let administrator = emulator.administrator().unwrap();
    emulator
        .faults()
        .once(Operation::Token, Fault::ExpiresIn(Some(json!("soon"))));
    let (id, secret) = (&administrator.client_id, &administrator.client_secret);
    let answer = caller.token(id, secret).await.json();
    assert_eq!(answer["expires_in"], "soon");
    let token = text(&answer, "access_token").to_owned();
    let path = format!("{}/oauth2/clients/{id}", emulator.base_url());
    let read = async || {
        let request = reqwest::Client::new().get(&path).bearer_auth(&token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(read().await, 200);
    emulator.revoke_tokens();
    assert_eq!(read().await, 401);

    // Another client's token is none for the administration.
    let other = caller.created("Storefront").await;
    let (id, secret) = (text(&other, "clientId"), text(&other, "clientSecret"));
    let token = caller.token(id, secret).await.json();
    let request = reqwest::Client::new().get(&path);
    let answer = request.bearer_auth(text(&token, "access_token")).send();
    assert_eq!(answer.await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_refused_token_request_repeats_its_secret_when_told_to() {
    let emulator = start().await;
    emulator.faults().set_echo_secrets_in_errors(true);
    let caller = Caller::of(&emulator);
    let answer = caller.token("nobody", "a-secret-of-somebody").await;
    assert_eq!(answer.status, 401);
    let echoed = answer.headers["x-request-echo"].to_str().unwrap();
    assert!(echoed.contains("a-secret-of-somebody"), "{echoed}");
    assert!(answer.json().to_string().contains("a-secret-of-somebody"));
}
