//! What the administration API does with good requests.

use provident_emulator::{Emulator, Options};
use serde_json::json;

use crate::caller::{Caller, plain, start, text};

/// The `required` list of `OAuthClient`.
const FIELDS: [&str; 14] = [
    "id",
    "clientId",
    "clientSecret",
    "name",
    "redirectUris",
    "allowedScopes",
    "isActive",
    "createdAt",
    "updatedAt",
    "tokenLifetimeSeconds",
    "rateLimitCount",
    "rateLimitWindowSeconds",
    "ip_restriction",
    "allowedIps",
];

#[tokio::test]
async fn create_answers_the_whole_client_with_the_documented_defaults() {
    let emulator = start().await;
    let answer = Caller::of(&emulator).create(plain("Storefront")).await;
    assert_eq!(answer.status, 201);
    let date = answer
        .headers
        .get("date")
        .expect("a Date header")
        .to_str()
        .unwrap()
        .to_owned();
    let sent = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();

    let client = answer.json();
    let mut fields: Vec<_> = client
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    let mut documented = FIELDS;
    documented.sort_unstable();
    assert_eq!(fields, documented);

    assert_eq!(client["name"], "Storefront");
    assert_eq!(
        client["redirectUris"],
        json!(["https://shop.example.com/auth/callback"])
    );
    assert_eq!(client["allowedScopes"], json!(["listings:read"]));
    assert_eq!(client["isActive"], true);
    assert_eq!(client["tokenLifetimeSeconds"], 3600);
    assert_eq!(client["rateLimitCount"], 200);
    assert_eq!(client["rateLimitWindowSeconds"], 43_200);
    assert_eq!(client["ip_restriction"], false);
    assert_eq!(client["allowedIps"], json!([]));
    assert_eq!(client["createdAt"], client["updatedAt"]);
    let created: jiff::Timestamp = text(&client, "createdAt").parse().unwrap();
    assert!(
        sent.duration_since(created).abs().as_secs() < 60,
        "{created} and {sent}"
    );
    assert!(text(&client, "clientSecret").len() >= 32);
    assert!(
        text(&client, "clientId")
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    );
    assert_ne!(client["id"], client["clientId"]);
}

#[tokio::test]
async fn create_is_not_idempotent_and_names_are_not_unique() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let (first, second) = (
        caller.created("Storefront").await,
        caller.created("Storefront").await,
    );
    for field in ["id", "clientId", "clientSecret"] {
        assert_ne!(first[field], second[field], "{field}");
    }
    assert_eq!(emulator.clients().len(), 2);
}

#[tokio::test]
async fn create_stores_every_field_it_is_given() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let wanted = json!({
        "name": "Back office",
        "redirectUris": [],
        "allowedScopes": ["orders:read", "orders:write"],
        "tokenLifetimeSeconds": 0,
        "rateLimitCount": 0,
        "rateLimitWindowSeconds": 1,
        "ipRestriction": true,
        "allowedIps": ["203.0.113.7", "198.51.100.0/24", "2001:db8::1", "2001:db8::/32"],
    });
    let client = caller.create(wanted.clone()).await.json();
    for (field, value) in wanted.as_object().unwrap() {
        let answered = if field == "ipRestriction" {
            "ip_restriction"
        } else {
            field
        };
        assert_eq!(&client[answered], value, "{field}");
    }
    assert_eq!(caller.get(text(&client, "clientId")).await.json(), client);
}

#[tokio::test]
async fn every_documented_token_lifetime_is_accepted_and_no_other() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    for seconds in [0, 3600, 10_800, 21_600, 43_200, 86_400] {
        let mut body = plain("Lifetimes");
        body["tokenLifetimeSeconds"] = seconds.into();
        assert_eq!(caller.create(body).await.status, 201, "{seconds}");
    }
    for seconds in [1, 3599, 7200, 172_800] {
        let mut body = plain("Lifetimes");
        body["tokenLifetimeSeconds"] = seconds.into();
        assert_eq!(caller.create(body).await.status, 400, "{seconds}");
    }
}

#[tokio::test]
async fn update_changes_the_given_fields_and_no_other() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let before = caller.created("Storefront").await;
    let id = text(&before, "clientId");
    let changes = [
        ("name", json!("Shop")),
        (
            "redirectUris",
            json!(["https://a.example.com/", "app://callback"]),
        ),
        ("allowedScopes", json!([])),
        ("isActive", json!(false)),
        ("tokenLifetimeSeconds", json!(86_400)),
        ("rateLimitCount", json!(0)),
        ("rateLimitWindowSeconds", json!(60)),
        ("allowedIps", json!(["203.0.113.0/24"])),
        ("ipRestriction", json!(true)),
    ];
    let mut expected = before.clone();
    for (field, value) in changes {
        let answer = caller.update(id, json!({ field: value })).await;
        assert_eq!(answer.status, 200, "{field}: {answer:?}");
        let answered = if field == "ipRestriction" {
            "ip_restriction"
        } else {
            field
        };
        expected[answered] = value;
        let mut after = answer.json();
        assert_eq!(caller.get(id).await.json(), after);
        after["updatedAt"] = expected["updatedAt"].clone();
        assert_eq!(after, expected, "{field}");
    }
    let updated = emulator.client(id).unwrap();
    assert!(updated.updated_at >= updated.created_at);
}

#[tokio::test]
async fn a_number_may_be_written_with_a_fraction_of_zero() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    let answer = caller.update(id, json!({ "rateLimitCount": 150.0 })).await;
    assert_eq!(
        (answer.status, &answer.json()["rateLimitCount"]),
        (200, &json!(150))
    );
}

#[tokio::test]
async fn a_restriction_needs_addresses_whichever_comes_first() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let id = text(&client, "clientId");
    assert_eq!(
        caller
            .update(id, json!({ "ipRestriction": true }))
            .await
            .status,
        400
    );
    assert_eq!(
        caller
            .update(
                id,
                json!({ "ipRestriction": true, "allowedIps": ["203.0.113.7"] })
            )
            .await
            .status,
        200
    );
    assert_eq!(
        caller.update(id, json!({ "allowedIps": [] })).await.status,
        400
    );
    assert_eq!(
        caller
            .update(id, json!({ "ipRestriction": false, "allowedIps": [] }))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_empty_update_changes_nothing() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    let answer = caller.update(text(&client, "clientId"), json!({})).await;
    assert_eq!((answer.status, answer.json()), (200, client));
}

#[tokio::test]
async fn rotate_replaces_the_secret_and_nothing_else() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let before = caller.created("Storefront").await;
    let id = text(&before, "clientId");
    assert_eq!(caller.rotate(id).await.status, 200);
    let mut after = caller.get(id).await.json();
    assert_ne!(after["clientSecret"], before["clientSecret"]);
    assert_eq!(
        caller.token(id, text(&before, "clientSecret")).await.status,
        401
    );
    assert_eq!(
        caller.token(id, text(&after, "clientSecret")).await.status,
        200
    );
    for field in ["clientSecret", "updatedAt"] {
        after[field] = before[field].clone();
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_unknown_client_id_is_404_and_the_other_id_is_unknown() {
    let emulator = start().await;
    let caller = Caller::of(&emulator);
    let client = caller.created("Storefront").await;
    for id in ["nobody", text(&client, "id"), "..%2Fclients", "%ff"] {
        let answers = [
            caller.get(id).await,
            caller.update(id, json!({ "name": "x" })).await,
            caller.rotate(id).await,
        ];
        for answer in answers {
            assert!(
                answer.status == 404 || (id == "%ff" && answer.status == 400),
                "{id}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_known_scopes_can_be_chosen() {
    let options = Options {
        scopes: vec!["cats:pet".to_owned()],
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    let caller = Caller::of(&emulator);
    let mut body = plain("Storefront");
    assert_eq!(caller.create(body.clone()).await.status, 422);
    body["allowedScopes"] = json!(["cats:pet"]);
    assert_eq!(caller.create(body).await.status, 201);
}
