//! What comes from outside, at random: a vendor's bytes and a user's templates. No panic, nothing out of bounds, and what a
//! template says is what the Secret holds. Failures are kept in `tests/fuzz.proptest-regressions` and run first.
//!
//! `PROPTEST_CASES=1000000 cargo test --release --test fuzz` runs longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use provident_core::api::OAuthClient;
use provident_core::secret::{Values, render};
use provident_core::vendor::types::{ClientId, MAX_CLIENT_ID, decode_client, error_code};
use provident_operator::vendor::limiter::parse_retry_after;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// Values of any shape, some deeper than a parser's recursion may go.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[A-Za-z0-9._~-]{0,140}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(field(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names of the API document more often than others.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "clientId",
            "clientSecret",
            "name",
            "redirectUris",
            "allowedScopes",
            "isActive",
            "createdAt",
            "tokenLifetimeSeconds",
            "ip_restriction",
            "allowedIps",
            "error",
            "code",
            "data",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

/// Text that looks like a body, cut, spliced and nested.
fn broken_json() -> impl Strategy<Value = Vec<u8>> {
    (
        any_json(),
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<u8>(), 0..8),
        0_usize..2000,
    )
        .prop_map(|(value, at, noise, depth)| {
            let mut text = value.to_string().into_bytes();
            let at = at.index(text.len() + 1);
            text.splice(at..at, noise);
            text.splice(at..at, std::iter::repeat_n(b'[', depth));
            text
        })
}

fn object(string_data: &BTreeMap<String, String>) -> OAuthClient {
    serde_json::from_value(json!({
        "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
        "metadata": { "name": "storefront", "namespace": "shop", "uid": "u" },
        "spec": { "allowedScopes": ["a"], "secret": { "stringData": string_data } },
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn s53_any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = (decode_client(&body), error_code(&body));
    }

    #[test]
    fn s53_any_broken_json_is_read_without_a_panic(body in broken_json()) {
        let client = decode_client(&body);
        prop_assert!(client.is_none_or(|client| client.client_id.is_some()));
        if let Some(code) = error_code(&body) {
            prop_assert!(code.len() <= 64 && code.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'));
        }
    }

    /// Bare or in an envelope, beside whatever else, the same client is read.
    #[test]
    fn s10_a_client_is_read_beside_anything(
        id in "[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}",
        secret in "[!-~é-ž]{1,64}",
        beside in any_json(),
        wrap in prop::option::of("[a-z]{1,8}"),
    ) {
        let mut client = Map::new();
        client.insert("clientId".to_owned(), id.clone().into());
        client.insert("clientSecret".to_owned(), secret.clone().into());
        client.insert("xtra".to_owned(), beside);
        let body = match wrap {
            Some(name) => json!({ name: client, "OK": true }),
            None => Value::Object(client),
        };
        let read = decode_client(body.to_string().as_bytes()).expect("a client");
        prop_assert_eq!(read.client_id.as_deref(), Some(id.as_str()));
        let read_secret = read.client_secret.unwrap();
        prop_assert_eq!(read_secret.expose_secret(), secret.as_str());
    }

    #[test]
    fn s08_a_client_id_is_one_safe_path_segment(text in prop_oneof![".{0,140}", "[A-Za-z0-9._~%/-]{0,140}"]) {
        if let Some(id) = ClientId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert!((1..=MAX_CLIENT_ID).contains(&text.len()));
            let url = url::Url::parse(&format!("https://h/v2/oauth2/clients/{id}")).unwrap();
            prop_assert_eq!(url.path_segments().unwrap().next_back(), Some(text.as_str()));
            prop_assert_eq!(url.path_segments().unwrap().count(), 4);
        }
    }

    #[test]
    fn s13_any_retry_after_is_read_without_a_panic(value in prop_oneof![".{0,40}", "[0-9]{0,30}", "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{8} GMT"]) {
        let _ = parse_retry_after(&value, jiff::Timestamp::UNIX_EPOCH);
    }

    /// A value is put in as it is, and is no template itself.
    #[test]
    fn a_template_is_replaced_once_and_nothing_else_is(
        parts in prop::collection::vec(prop_oneof![
            Just("$(clientId)".to_owned()),
            Just("$(clientSecret)".to_owned()),
            Just("$(tokenUrl)".to_owned()),
            Just("$$(".to_owned()),
            "[^$]{0,6}",
        ], 0..12),
        secret in prop_oneof![".{0,40}", Just("$(clientId)$$($(tokenUrl)".to_owned())],
    ) {
        let expected: String = parts.iter().map(|part| match part.as_str() {
            "$(clientId)" => "c1",
            "$(clientSecret)" => &secret,
            "$(tokenUrl)" => "https://h/t",
            "$$(" => "$(",
            other => other,
        }).collect();
        let template = BTreeMap::from([("key".to_owned(), parts.concat())]);
        let client_secret = SecretString::from(secret.as_str());
        let values = Values { client_id: "c1", client_secret: &client_secret, token_url: "https://h/t" };
        let rendered = render(&object(&template), values, "mac");
        let data = rendered.data.unwrap();
        prop_assert_eq!(data.len(), 1);
        prop_assert_eq!(String::from_utf8(data["key"].0.clone()).unwrap(), expected);
    }

    /// Whatever a template is, rendering ends and its size is bounded by the template's and the values'.
    #[test]
    fn any_template_is_rendered_without_a_panic(
        template in prop::collection::btree_map("[-._a-zA-Z0-9]{1,12}", prop_oneof![".{0,80}", "[$()a-zA-Z]{0,80}"], 0..4),
        secret in ".{0,40}",
    ) {
        let client_secret = SecretString::from(secret.as_str());
        let values = Values { client_id: "c1", client_secret: &client_secret, token_url: "https://h/t" };
        let rendered = render(&object(&template), values, "mac");
        for (key, value) in rendered.data.unwrap_or_default() {
            let text = template.get(&key).map_or(64, String::len);
            prop_assert!(value.0.len() <= text * (secret.len() + 16) + 64);
        }
        prop_assert_eq!(rendered.type_.as_deref(), Some("Opaque"));
    }
}
