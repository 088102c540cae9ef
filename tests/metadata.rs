//! Metadata that Kubernetes accepts but that is unusual, for every kind that the operator reads, through the client that it
//! uses: lists, watches, single reads and answers to writes. None may fail, and none may affect the object beside it.
//!
//! A failure prints its seed; `tests/metadata.proptest-regressions` runs it first. `PROPTEST_CASES=100000` runs longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::convert::Infallible;
use std::fmt::Debug;

use futures::{StreamExt, TryStreamExt};
use http::{Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::client::Body;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use proptest::prelude::*;
use provident_core::api::{self, ClusterProvidentConnection, OAuthClient, ProvidentConnection};
use provident_operator::cluster::{FilterMetadata, LenientObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::{Layer, service_fn};

/// A client whose every request is answered with this body.
fn client(body: String) -> Client {
    let service = service_fn(move |_: Request<Body>| {
        let body = body.clone().into_bytes();
        let response = Response::builder().header("content-type", "application/json");
        async move { Ok::<_, Infallible>(response.body(Body::from(body)).unwrap()) }
    });
    Client::new(FilterMetadata.layer(service), "default")
}

fn any_time() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("9999-12-31T23:59:59Z")),
        Just(json!("9999-12-30T22:00:01Z")),
        Just(json!("0001-01-01T00:00:00Z")),
        Just(json!("0000-01-01T00:00:00Z")),
        Just(json!("2026-11-24T10:00:00Z")),
        (0_u16..=9999, 1_u8..=12, 1_u8..=28, 0_u8..24).prop_map(|(year, month, day, hour)| json!(
            format!("{year:04}-{month:02}-{day:02}T{hour:02}:00:00Z")
        )),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{0,12}",
        ".{0,24}",
        Just("managedFields".to_owned())
    ]
}

fn any_map() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        prop::collection::btree_map(any_text(), any_text(), 0..4).prop_map(|map| json!(map)),
        any_text().prop_map(
            |text| json!({ "kubectl.kubernetes.io/last-applied-configuration": text, "a": "b" })
        ),
    ]
}

/// What `fieldsV1` holds: sets of fields, nested deeper than a parser recurses.
fn any_fields() -> impl Strategy<Value = String> {
    (0_usize..400)
        .prop_map(|depth| format!("{}{{}}{}", "{\"f:a\":".repeat(depth), "}".repeat(depth)))
}

fn any_managed_fields() -> impl Strategy<Value = String> {
    let entry = (any_time(), any_text(), any_fields(), any::<bool>()).prop_map(
        |(time, manager, fields, unknown)| {
            let manager = Value::from(manager);
            let more = if unknown { ",\"future\":[null,{}]" } else { "" };
            format!("{{\"manager\":{manager},\"time\":{time},\"fieldsV1\":{fields}{more}}}")
        },
    );
    prop_oneof![
        Just("null".to_owned()),
        prop::collection::vec(entry, 0..3).prop_map(|entries| format!("[{}]", entries.join(","))),
    ]
}

/// The metadata of an object named `odd`, as text: some of it is deeper than a value of `serde_json` may be.
fn any_metadata() -> impl Strategy<Value = String> {
    let owners = prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!([{ "apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": null, "future": {} }])),
        any_text().prop_map(|text| json!([{ "apiVersion": text, "kind": text, "name": text, "uid": text, "controller": true }])),
    ];
    let generation = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from)];
    let finalizers = prop_oneof![
        Just(Value::Null),
        prop::collection::vec(any_text(), 0..3).prop_map(Value::from),
    ];
    (
        (any_time(), any_time(), generation, finalizers, owners),
        (any_map(), any_map(), any_managed_fields(), any::<bool>()),
    )
        .prop_map(|((created, deleted, generation, finalizers, owners), (labels, annotations, managed, unknown))| {
            let more = if unknown { ",\"future\":{\"a\":[1]},\"selfLink\":\"/\"" } else { "" };
            format!(
                "{{\"name\":\"odd\",\"namespace\":\"shop\",\"uid\":\"u\",\"resourceVersion\":\"7\",\"generation\":{generation},\
                 \"creationTimestamp\":{created},\"deletionTimestamp\":{deleted},\"deletionGracePeriodSeconds\":{generation},\
                 \"labels\":{labels},\"annotations\":{annotations},\"finalizers\":{finalizers},\"ownerReferences\":{owners},\
                 \"managedFields\":{managed}{more}}}"
            )
        })
}

/// The rest of an object of a kind, as text with a comma before it.
fn rest<K: Resource<DynamicType = ()>>() -> String {
    let connection = json!({ "baseUrl": "https://api.provident.ae/v2", "auth": { "tokenSecretRef": { "name": "t", "key": "k" } } });
    let value = match K::kind(&()).as_ref() {
        "OAuthClient" => json!({ "spec": { "allowedScopes": ["a"] } }),
        "ClusterProvidentConnection" | "ProvidentConnection" => json!({ "spec": connection }),
        "CustomResourceDefinition" => {
            json!({ "spec": serde_json::to_value(&api::crds()[0].spec).unwrap() })
        }
        "Secret" => json!({ "data": { "managedFields": "YQ==" }, "type": "Opaque" }),
        "ConfigMap" => json!({ "data": { "metadata": "{\"managedFields\":[]}" } }),
        _ => json!({ "spec": {} }),
    };
    let text = value.to_string();
    format!(",{}", &text[1..])
}

fn object(version: &str, kind: &str, metadata: &str, rest: &str) -> String {
    format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{version}\",\"metadata\":{metadata}{rest}")
}

/// Reads an odd object and a usual one in every way. `K` is how the operator decodes the kind `D`.
async fn reads<K, D>(metadata: &str)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    D: Resource<DynamicType = ()>,
{
    let (version, kind) = (D::api_version(&()), D::kind(&()));
    let rest = rest::<D>();
    let odd = object(&version, &kind, metadata, &rest);
    let usual = object(
        &version,
        &kind,
        "{\"name\":\"usual\",\"uid\":\"v\",\"resourceVersion\":\"8\"}",
        &rest,
    );
    let deleted = metadata.contains("\"deletionTimestamp\":\"");
    let check = |read: &K, how: &str| {
        let meta = read.meta();
        assert_eq!(meta.managed_fields, None, "{kind}: {how}");
        if meta.uid.as_deref() == Some("u") {
            assert_eq!(meta.name.as_deref(), Some("odd"), "{kind}: {how}");
            assert_eq!(meta.deletion_timestamp.is_some(), deleted, "{kind}: {how}");
        } else {
            assert_eq!(meta.name.as_deref(), Some("usual"), "{kind}: {how}");
        }
    };
    let api = |body: String| Api::<K>::all(client(body));

    let list = format!(
        "{{\"kind\":\"{kind}List\",\"apiVersion\":\"{version}\",\"metadata\":{{\"resourceVersion\":\"9\"}},\"items\":[{odd},{usual}]}}\n"
    );
    let listed = api(list).list(&ListParams::default()).await;
    let listed = listed
        .unwrap_or_else(|error| panic!("{kind}: list: {error}"))
        .items;
    assert_eq!(listed.len(), 2, "{kind}");
    for read in &listed {
        check(read, "list");
    }

    let events = ["ADDED", "MODIFIED", "DELETED"].map(|type_| format!("{{\"type\":\"{type_}\",\"object\":{odd}}}\n{{\"type\":\"{type_}\",\"object\":{usual}}}\n"));
    // A bookmark is the API server's own, and no tenant's.
    let bookmark = object(
        &version,
        &kind,
        "{\"resourceVersion\":\"7\",\"creationTimestamp\":null,\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}",
        ",\"spec\":{}}",
    );
    let bookmark = format!("{{\"type\":\"BOOKMARK\",\"object\":{bookmark}}}\n");
    let watched: Vec<_> = api(events.concat() + &bookmark)
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed()
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{kind}: watch: {error}"));
    assert_eq!(watched.len(), 7, "{kind}");
    for event in &watched {
        match event {
            WatchEvent::Added(read) | WatchEvent::Modified(read) | WatchEvent::Deleted(read) => {
                check(read, "watch");
            }
            WatchEvent::Bookmark(bookmark) => assert_eq!(bookmark.metadata.resource_version, "7"),
            WatchEvent::Error(error) => panic!("{kind}: {error:?}"),
        }
    }

    let read = api(odd.clone()).get("odd").await;
    check(
        &read.unwrap_or_else(|error| panic!("{kind}: get: {error}")),
        "get",
    );
    let patch = Patch::Merge(json!({}));
    let read = api(odd.clone())
        .patch("odd", &PatchParams::default(), &patch)
        .await;
    check(
        &read.unwrap_or_else(|error| panic!("{kind}: patch: {error}")),
        "patch",
    );
    let partial = api(odd).get_metadata("odd").await;
    let partial = partial.unwrap_or_else(|error| panic!("{kind}: get_metadata: {error}"));
    assert_eq!(partial.metadata.name.as_deref(), Some("odd"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_kind_is_read_in_every_way(metadata in any_metadata()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            reads::<LenientObject<OAuthClient>, OAuthClient>(&metadata).await;
            reads::<OAuthClient, OAuthClient>(&metadata).await;
            reads::<LenientObject<ClusterProvidentConnection>, ClusterProvidentConnection>(&metadata).await;
            reads::<LenientObject<ProvidentConnection>, ProvidentConnection>(&metadata).await;
            reads::<LenientObject<PartialObjectMeta<Secret>>, Secret>(&metadata).await;
            reads::<Secret, Secret>(&metadata).await;
            reads::<LenientObject<PartialObjectMeta<ConfigMap>>, ConfigMap>(&metadata).await;
            reads::<ConfigMap, ConfigMap>(&metadata).await;
            reads::<Namespace, Namespace>(&metadata).await;
            reads::<CustomResourceDefinition, CustomResourceDefinition>(&metadata).await;
            reads::<Lease, Lease>(&metadata).await;
        });
    }

    /// Even metadata that no API server sends leaves the other objects of a list as they are.
    #[test]
    fn an_object_that_cannot_be_decoded_is_left_out_alone(
        field in prop::sample::select(vec!["name", "uid", "labels", "finalizers", "ownerReferences", "generation", "annotations"]),
        value in prop_oneof![Just(json!([[]])), Just(json!({ "a": [] })), Just(json!(1.5)), Just(json!([3]))],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut odd = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "odd", "uid": "u" } });
        odd["metadata"][field] = value;
        let usual = json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "usual", "uid": "v" } });
        let list = json!({ "kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": [odd, usual] });
        let listed = runtime.block_on(async {
            let api = Api::<LenientObject<PartialObjectMeta<Secret>>>::all(client(list.to_string()));
            api.list(&ListParams::default()).await.unwrap().items
        });
        let [odd, usual] = &listed[..] else { panic!("{} objects", listed.len()) };
        let invalid = odd.0.as_ref().unwrap_err();
        prop_assert!(invalid.error.contains("metadata") || invalid.error.contains(field), "{}", invalid.error);
        let known = (invalid.metadata.name.as_deref(), invalid.metadata.uid.as_deref());
        prop_assert!(known.0 == Some("odd") || field == "name");
        prop_assert!(known.1 == Some("u") || field == "uid");
        prop_assert_eq!(usual.0.as_ref().unwrap().metadata.name.as_deref(), Some("usual"));
    }
}
