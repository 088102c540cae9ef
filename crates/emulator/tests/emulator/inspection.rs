//! What a test and a person can see of the emulator: the page, the calls, the secrets that were in force.

use std::net::TcpListener;

use provident_emulator::{Emulator, EmulatorError, Operation, Options};
use reqwest::Method;
use serde_json::json;

use crate::caller::{Caller, start, text};

#[tokio::test]
async fn the_page_lists_clients_without_secrets_and_says_what_it_is() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let empty = caller.raw(Method::GET, "/", &[], "").await;
    assert!(
        empty.text.contains("not the vendor") && empty.text.contains("No clients yet"),
        "{}",
        empty.text
    );

    let nasty = r#"<script>alert("1 & 2")</script>'s"#;
    let first = caller.created(nasty).await;
    let second = caller.created("Storefront").await;
    caller
        .update(text(&second, "clientId"), json!({ "isActive": false }))
        .await;
    let page = caller.raw(Method::GET, "/", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(
        page.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    assert!(
        page.text
            .contains("&lt;script&gt;alert(&quot;1 &amp; 2&quot;)&lt;/script&gt;&#39;s")
    );
    assert!(!page.text.contains("<script"));
    for client in [&first, &second] {
        assert!(page.text.contains(text(client, "clientId")));
        assert!(!page.text.contains(text(client, "clientSecret")));
    }
    assert!(page.text.contains(">active<") && page.text.contains(">inactive<"));
    assert!(page.text.contains("listings:read"));
    assert!(!page.text.contains(&emulator.token()));
}

#[tokio::test]
async fn every_call_is_on_record() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    caller
        .update(id, json!({ "rateLimitCount": 1, "name": "Shop" }))
        .await;
    caller.get("nobody").await;
    caller.rotate(id).await;

    let record: Vec<_> = emulator
        .calls()
        .into_iter()
        .map(|call| {
            (
                call.operation,
                call.client_id,
                call.name,
                call.fields.join(" "),
                call.committed,
                call.status,
            )
        })
        .collect();
    let (id, name) = (
        |id: &str| Some(id.to_owned()),
        |name: &str| Some(name.to_owned()),
    );
    let own = text(&client, "clientId");
    let create_fields = "allowedScopes name redirectUris".to_owned();
    let expected = [
        (
            Operation::Create,
            id(own),
            name("Storefront"),
            create_fields,
            true,
            Some(201),
        ),
        (
            Operation::Update,
            id(own),
            name("Shop"),
            "name rateLimitCount".to_owned(),
            true,
            Some(200),
        ),
        (
            Operation::Get,
            id("nobody"),
            None,
            String::new(),
            false,
            Some(404),
        ),
        (
            Operation::Rotate,
            id(own),
            None,
            String::new(),
            true,
            Some(200),
        ),
    ];
    assert_eq!(record, expected);
    assert_eq!(
        (
            emulator.count(Operation::Get),
            emulator.commits(Operation::Get)
        ),
        (1, 0)
    );
}

#[tokio::test]
async fn all_secrets_that_were_ever_in_force_are_known_for_scans() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, first) = (text(&client, "clientId"), text(&client, "clientSecret"));
    caller.rotate(id).await;
    let second = text(&caller.get(id).await.json(), "clientSecret").to_owned();
    let token = text(&caller.token(id, &second).await.json(), "access_token").to_owned();
    let bearer = emulator.token();
    emulator.set_token("another");
    assert_eq!(
        emulator.secrets(),
        [bearer.as_str(), first, &second, &token, "another"]
    );
    assert!(
        !format!("{:?}", emulator.clients()).contains(&second),
        "nor does a failed assertion print them"
    );
}

#[tokio::test]
async fn a_client_can_be_edited_and_removed_behind_the_api() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    assert!(emulator.edit(id, |client| client.allowed_scopes =
        vec!["not:known".to_owned()]));
    assert_eq!(
        caller.get(id).await.json()["allowedScopes"],
        json!(["not:known"])
    );
    assert!(emulator.remove(id));
    assert_eq!(caller.get(id).await.status, 404);
    assert!(!emulator.remove(id) && !emulator.edit(id, |_| ()));
}

#[tokio::test]
async fn stopping_frees_the_port_and_ends_what_is_in_flight() {
    let emulator = start().await;
    let address = emulator.address();
    let gate = emulator
        .faults()
        .gate(Operation::Get, provident_emulator::When::BeforeCommit);
    let caller = Caller::of(&emulator);
    let call = tokio::spawn(async move {
        caller
            .try_call(Method::GET, "/oauth2/clients/x", None)
            .await
    });
    gate.arrived(1).await;
    emulator.stop().await;
    call.await.unwrap().unwrap_err();
    let again = Emulator::start(Options {
        listen: address,
        ..Options::default()
    })
    .await
    .unwrap();
    assert_eq!(Caller::of(&again).get("nobody").await.status, 404);
}

#[tokio::test]
async fn a_taken_address_is_named_with_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Emulator::start(Options {
        listen,
        ..Options::default()
    })
    .await
    .err()
    .unwrap();
    assert!(matches!(error, EmulatorError::Listen { .. }));
    let message = error.to_string();
    assert!(
        message.contains(&listen.to_string()) && message.contains("--listen"),
        "{message}"
    );
}
