//! Which call a fault meets, and what the vendor then does or says.

use provident_emulator::{Answer, Fault, Operation, Rule, When};
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::{Caller, create_with, plain, start, text};

#[tokio::test]
async fn a_gateway_answers_503_before_or_after_the_vendor_took_the_create() {
    let emulator = start().await;
    for (when, clients) in [(When::BeforeCommit, 0), (When::AfterCommit, 1)] {
        assert_eq!(
            create_with(&emulator, Fault::answer(when, 503))
                .await
                .unwrap()
                .status,
            503
        );
        assert_eq!(emulator.clients().len(), clients, "{when:?}");
        assert_eq!(emulator.commits(Operation::Create), clients);
    }
}

#[tokio::test]
async fn an_ordered_answer_carries_the_headers_and_the_body_it_was_given() {
    let emulator = start().await;
    let ordered = Answer::new(When::BeforeCommit, 429)
        .header("Retry-After", "a week next Tuesday")
        .body("slow down");
    let answer = create_with(&emulator, Fault::Answer(ordered))
        .await
        .unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (429, "slow down"));
    assert_eq!(answer.headers["retry-after"], "a week next Tuesday");

    let ordered = Answer::new(When::BeforeCommit, 307)
        .header("Location", "http://elsewhere.example/v2/oauth2/clients");
    let answer = create_with(&emulator, Fault::Answer(ordered))
        .await
        .unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(
        answer.headers["location"],
        "http://elsewhere.example/v2/oauth2/clients"
    );
    assert_eq!(emulator.clients(), []);
}

#[tokio::test]
async fn faults_come_in_order_and_by_count_until_cleared() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let faults = emulator.faults();
    faults.times(Operation::Get, 2, Fault::answer(When::BeforeCommit, 500));
    faults.once(Operation::Get, Fault::answer(When::BeforeCommit, 502));
    faults.always(Operation::Get, Fault::answer(When::BeforeCommit, 504));
    for status in [500, 500, 502, 504, 504] {
        assert_eq!(caller.get("nobody").await.status, status);
    }
    assert_eq!(
        caller.create(plain("Storefront")).await.status,
        201,
        "another operation is not met"
    );
    faults.clear();
    assert_eq!(caller.get("nobody").await.status, 404);
}

#[tokio::test]
async fn a_fault_can_be_meant_for_one_client() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    for (operation, client) in [(Operation::Create, "Poison"), (Operation::Get, id)] {
        let fault = Fault::answer(When::BeforeCommit, 500);
        emulator.faults().add(Rule {
            operation,
            client: Some(client.to_owned()),
            fault,
            every: None,
            count: None,
        });
    }
    assert_eq!(caller.create(plain("Poison")).await.status, 500);
    assert_eq!(caller.create(plain("Cure")).await.status, 201);
    assert_eq!(caller.get(id).await.status, 500);
    assert_eq!(caller.get("nobody").await.status, 404);
}

#[tokio::test]
async fn an_answer_about_another_client_or_from_another_time() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");

    emulator
        .faults()
        .once(Operation::Get, Fault::WrongClientId("foreign".to_owned()));
    assert_eq!(caller.get(id).await.json()["clientId"], "foreign");
    assert_eq!(caller.get(id).await.json(), client);

    let existing = create_with(&emulator, Fault::ExistingClient(id.to_owned()))
        .await
        .unwrap();
    assert_eq!((existing.status, existing.json()), (201, client.clone()));
    assert_eq!(emulator.clients().len(), 1);
    assert_eq!(emulator.commits(Operation::Create), 1);

    let long_ago = "2001-02-03T04:05:06Z".parse().unwrap();
    let old = create_with(&emulator, Fault::CreatedAt(long_ago))
        .await
        .unwrap()
        .json();
    assert_eq!(old["createdAt"], "2001-02-03T04:05:06Z");
}

#[tokio::test]
async fn values_are_normalised_or_ignored() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    emulator
        .faults()
        .always(Operation::Update, Fault::Normalise);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    let change = json!({ "name": "Shop FRONT", "allowedScopes": ["orders:read", "listings:read", "orders:read"] });
    let answer = caller.update(id, change).await.json();
    assert_eq!(answer["name"], "shop front");
    assert_eq!(
        answer["allowedScopes"],
        json!(["listings:read", "orders:read"])
    );
    assert_eq!(caller.get(id).await.json(), answer);

    emulator.faults().clear();
    emulator.faults().once(
        Operation::Update,
        Fault::IgnoreFields(vec!["name".to_owned()]),
    );
    let answer = caller
        .update(id, json!({ "name": "Ignored", "rateLimitCount": 7 }))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        (&answer.json()["name"], &answer.json()["rateLimitCount"]),
        (&json!("shop front"), &json!(7))
    );
}

#[tokio::test]
async fn a_rotation_is_seen_only_after_some_reads() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let (id, old) = (text(&client, "clientId"), text(&client, "clientSecret"));
    emulator
        .faults()
        .once(Operation::Rotate, Fault::StaleReads(2));
    let new = text(&caller.rotate(id).await.json(), "clientSecret").to_owned();
    assert_ne!(new, old);
    for expected in [old, old, new.as_str(), new.as_str()] {
        assert_eq!(text(&caller.get(id).await.json(), "clientSecret"), expected);
    }
}

#[tokio::test]
async fn faults_can_be_ordered_over_http_with_the_token() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let authorization = format!("Bearer {}", emulator.token());
    let send = async |method: Method, body: Value| {
        caller
            .raw(
                method,
                "/faults",
                &[("authorization", &authorization)],
                &body.to_string(),
            )
            .await
            .status
    };
    let rule = json!({
        "operation": "create",
        "fault": { "answer": { "when": "afterCommit", "status": 503, "headers": [["retry-after", "5"]] } },
        "count": 1,
    });
    assert_eq!(
        caller
            .raw(Method::POST, "/faults", &[], &rule.to_string())
            .await
            .status,
        401
    );
    assert_eq!(
        send(
            Method::POST,
            json!({ "operation": "create", "fault": "sulk" })
        )
        .await,
        400
    );
    assert_eq!(send(Method::POST, rule).await, 204);
    assert_eq!(
        send(
            Method::POST,
            json!({ "operation": "get", "fault": { "drop": "beforeCommit" } })
        )
        .await,
        204
    );
    assert_eq!(
        send(
            Method::POST,
            json!({ "operation": "update", "fault": "emptyBody", "client": "x" })
        )
        .await,
        204
    );

    let answer = caller.create(plain("Storefront")).await;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (503, &"5".parse().unwrap())
    );
    caller
        .try_call(Method::GET, "/oauth2/clients/nobody", None)
        .await
        .unwrap_err();
    assert_eq!(send(Method::DELETE, json!(null)).await, 204);
    assert_eq!(caller.get("nobody").await.status, 404);
}
