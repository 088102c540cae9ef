//! What a decision costs, by the number of allocations: unlike a clock it says the same on every machine and every day.
//!
//! `cargo test --test allocations -- --nocapture` prints the table. A limit is what was counted when it was written; whoever
//! does the same with less lowers it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../crates/core/tests/plan/facts.rs"]
mod facts;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use facts::fresh;

use http::{Request, Response};
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client};
use provident_core::api::{OAuthClient, OAuthClientSpec, Reason};
use provident_core::plan::{
    self, Binding, Content, Facts, Found, MessageContext, Owner, RecordedClient, SecretFacts,
    Vendor,
};
use provident_core::secret::{self, SecretMetadata, Values};
use provident_core::vendor::types::{ClientId, VendorClient, decode_client, error_code};
use provident_operator::cluster::{FilterMetadata, LenientObject};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::{Layer, service_fn};

const ANSWER: &[u8] = br#"{
    "id": "65a1", "clientId": "0705e1a5afa8e3dcb37c2e3353a82bc8", "clientSecret": "s3cr3t-s3cr3t-s3cr3t-s3cr3t",
    "name": "shop-storefront", "redirectUris": ["https://shop.example.com/auth/callback"],
    "allowedScopes": ["listings:read", "orders:read"], "isActive": true,
    "createdAt": "2026-11-24T10:00:00.000Z", "updatedAt": "2026-11-24T10:00:00.000Z",
    "tokenLifetimeSeconds": 3600, "rateLimitCount": 200, "rateLimitWindowSeconds": 43200,
    "ip_restriction": false, "allowedIps": []
}"#;

/// Allocations of one call, at most.
struct Limits(Vec<String>);

impl Limits {
    fn hold<T>(&mut self, what: &str, at_most: u64, call: impl Fn() -> T) {
        // What is set up once, such as a table behind a lazy static, is not a call's price.
        black_box(call());
        let counted = allocation_counter::measure(|| {
            black_box(call());
        });
        let (count, bytes) = (counted.count_total, counted.bytes_total);
        println!("{what:<50} {count:>4} allocations (at most {at_most}), {bytes:>6} bytes");
        if count > at_most {
            self.0.push(format!(
                "{what}: {count} allocations, and {at_most} were enough before"
            ));
        }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

// As a watch brings it, `managedFields` aside.
const SETTLED: &str = r#"{
    "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
    "metadata": { "name": "storefront", "namespace": "shop", "uid": "3f55e64f-1b94-46e8-90c3-0586d2ffc11a", "generation": 1,
        "resourceVersion": "123456", "creationTimestamp": "2026-11-24T10:00:00Z", "finalizers": ["oauth.provident.ae/client"] },
    "spec": { "redirectUris": ["https://shop.example.com/auth/callback"], "allowedScopes": ["listings:read"],
        "connectionRef": { "kind": "ClusterProvidentConnection", "name": "default" }, "refreshInterval": "1h",
        "driftPolicy": "Correct", "deletionPolicy": "Deactivate" },
    "status": { "observedGeneration": 1, "clientId": "0705e1a5afa8e3dcb37c2e3353a82bc8", "secretName": "storefront",
        "bindingMAC": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "secretResourceVersion": "123450",
        "secretRevision": 1, "secretHash": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
        "conditions": [
            { "type": "Ready", "status": "True", "reason": "Available", "message": "The client is as declared, and its Secret holds its credentials",
              "observedGeneration": 1, "lastTransitionTime": "2026-11-24T10:00:01Z" },
            { "type": "Synced", "status": "True", "reason": "Available", "message": "The client at the vendor equals the spec",
              "observedGeneration": 1, "lastTransitionTime": "2026-11-24T10:00:01Z" },
            { "type": "SecretReady", "status": "True", "reason": "Available", "message": "The Secret storefront holds the credentials",
              "observedGeneration": 1, "lastTransitionTime": "2026-11-24T10:00:01Z" } ] }
}"#;

fn object() -> OAuthClient {
    serde_json::from_value(json!({
        "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
        "metadata": { "name": "storefront", "namespace": "shop", "uid": "u1", "generation": 1 },
        "spec": spec(),
    }))
    .unwrap()
}

fn spec() -> OAuthClientSpec {
    serde_json::from_value(json!({
        "redirectUris": ["https://shop.example.com/auth/callback"],
        "allowedScopes": ["listings:read", "orders:read"],
        "tokenLifetimeSeconds": 3600,
    }))
    .unwrap()
}

fn settled() -> Facts {
    let id = ClientId::parse("0705e1a5afa8e3dcb37c2e3353a82bc8").unwrap();
    Facts {
        finalizer: true,
        ready: true,
        record: RecordedClient::Bound(id.clone()),
        secret: SecretFacts::Present {
            owner: Owner::This,
            binding: Binding::Valid(id),
            content: Content::Current,
        },
        ..fresh()
    }
}

fn verified() -> Facts {
    let found = Found {
        differs: Vec::new(),
        credentials: true,
        active: true,
        rotated: false,
    };
    Facts {
        vendor: Vendor::Found(found),
        ..settled()
    }
}

#[test]
fn a_plan_costs_no_more_than_it_did() {
    let mut limits = Limits(Vec::new());
    let (spec, fresh, settled, verified) = (spec(), fresh(), settled(), verified());
    limits.hold("next: a new object", 0, || plan::next(&spec, &fresh));
    limits.hold("next: a settled client", 1, || plan::next(&spec, &settled));
    limits.hold("next: a client that was just verified", 1, || {
        plan::next(&spec, &verified)
    });
    let texts = || MessageContext {
        namespace: "shop",
        name: "storefront",
        secret: "storefront",
        vendor_name: "shop-storefront",
        attempt_time: "",
    };
    limits.hold("report: a client that was just verified", 5, || {
        let report = plan::report(&spec, &verified, texts());
        assert_eq!(report.ready.as_ref().unwrap().1, Reason::Available);
        report
    });
}

#[test]
fn reading_and_comparing_an_answer_costs_no_more_than_it_did() {
    let mut limits = Limits(Vec::new());
    let client: VendorClient = decode_client(ANSWER).unwrap();
    let spec = spec();
    assert!(plan::differing(&spec, &client).is_empty());
    limits.hold("decode: a client", 12, || decode_client(ANSWER));
    limits.hold("decode: an error's code", 7, || {
        error_code(br#"{"error":"invalid_scope","message":"m"}"#)
    });
    limits.hold("diff: nothing differs", 8, || {
        plan::differing(&spec, &client)
    });
    let fields = plan::Field::ALL;
    limits.hold("diff: the request that corrects all", 5, || {
        plan::update_request(&spec, fields)
    });
}

#[test]
fn reading_what_a_watch_brings_costs_no_more_than_it_did() {
    let mut limits = Limits(Vec::new());
    let read = || serde_json::from_str::<LenientObject<OAuthClient>>(SETTLED).unwrap();
    let object = read().0.unwrap();
    limits.hold("read: a settled client", 32, read);
    let secret = secret::largest(&object, "https://api.provident.ae/v2/oauth2/token");
    limits.hold("read: the marks of its Secret", 4, || {
        SecretMetadata::of(&secret.metadata)
    });
    // These two stay in memory for every client.
    for (what, at_most, bytes) in [
        ("kept: a settled client", 1884, kept(|| object.clone())),
        (
            "kept: the marks of its Secret",
            355,
            kept(|| SecretMetadata::of(&secret.metadata)),
        ),
    ] {
        println!("{what:<50} {bytes:>6} bytes (at most {at_most})");
        assert!(
            bytes <= at_most,
            "{what}: {bytes} bytes, and {at_most} were enough before"
        );
    }
}

/// As the API server keeps them for a client that was applied, then reconciled.
fn managed_fields() -> Value {
    let condition = |type_: &str| {
        (
            format!("k:{{\"type\":\"{type_}\"}}"),
            json!({
                ".": {}, "f:lastTransitionTime": {}, "f:message": {}, "f:observedGeneration": {}, "f:reason": {}, "f:status": {}, "f:type": {},
            }),
        )
    };
    let conditions: serde_json::Map<_, _> = ["Ready", "SecretReady", "Synced"]
        .map(condition)
        .into_iter()
        .collect();
    let entry = |manager: &str, fields: Value| {
        json!({
            "manager": manager, "operation": "Update", "apiVersion": "oauth.provident.ae/v1alpha1", "time": "2026-11-24T10:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    };
    json!([
        entry(
            "kubectl-client-side-apply",
            json!({
                "f:metadata": { "f:annotations": { ".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {} } },
                "f:spec": { ".": {}, "f:allowedScopes": {}, "f:connectionRef": { ".": {}, "f:kind": {}, "f:name": {} },
                    "f:deletionPolicy": {}, "f:driftPolicy": {}, "f:redirectUris": {}, "f:refreshInterval": {} },
            })
        ),
        entry(
            "provident-operator",
            json!({ "f:metadata": { "f:finalizers": { ".": {}, "v:\"oauth.provident.ae/client\"": {} } } })
        ),
        entry(
            "provident-operator",
            json!({ "f:status": { ".": {}, "f:bindingMAC": {}, "f:clientId": {}, "f:conditions": conditions,
            "f:observedGeneration": {}, "f:secretHash": {}, "f:secretName": {}, "f:secretResourceVersion": {}, "f:secretRevision": {} } })
        ),
    ])
}

/// Lists a page of clients; allocations per client, and the time of the whole.
fn list(managed: bool, filtered: bool) -> (u64, std::time::Duration) {
    const PAGE: u64 = 500;
    let mut object: Value = serde_json::from_str(SETTLED).unwrap();
    if managed {
        object["metadata"]["managedFields"] = managed_fields();
    }
    let page = json!({ "kind": "OAuthClientList", "apiVersion": "oauth.provident.ae/v1alpha1", "metadata": {},
        "items": vec![object; 500] });
    let page = page.to_string().into_bytes();
    let service = service_fn(move |_: Request<Body>| {
        let response = Response::builder().header("content-type", "application/json");
        let response = response.body(Body::from(page.clone()));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let client = if filtered {
        Client::new(FilterMetadata.layer(service), "default")
    } else {
        Client::new(service, "default")
    };
    let api = Api::<LenientObject<OAuthClient>>::all(client);
    let call = || runtime.block_on(api.list(&ListParams::default())).unwrap();
    assert!(call().items.iter().all(|object| object.0.is_ok()));
    let start = Instant::now();
    let counted = allocation_counter::measure(|| {
        black_box(call());
    });
    (counted.count_total / PAGE, start.elapsed())
}

#[test]
fn managed_fields_cost_no_allocations() {
    let mut counts = Vec::new();
    for (what, managed, filtered) in [
        ("list: without managedFields", false, true),
        ("list: with managedFields", true, true),
        (
            "list: with managedFields, as kube alone decodes them",
            true,
            false,
        ),
    ] {
        let (count, took) = list(managed, filtered);
        println!("{what:<55} {count:>4} allocations per client, {took:?} for 500");
        counts.push(count);
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[1] < counts[2]);
}

// Bytes that what was made takes, be it here or where it points to.
fn kept<T>(make: impl Fn() -> T) -> u64 {
    let result = std::cell::Cell::new(None);
    let counted = allocation_counter::measure(|| result.set(Some(make())));
    u64::try_from(counted.bytes_current).unwrap() + size_of::<T>() as u64
}

#[test]
fn rendering_and_comparing_a_secret_costs_no_more_than_it_did() {
    let mut limits = Limits(Vec::new());
    let (object, client_secret) = (object(), SecretString::from("s3cr3t-s3cr3t-s3cr3t-s3cr3t"));
    let values = Values {
        client_id: "0705e1a5afa8e3dcb37c2e3353a82bc8",
        client_secret: &client_secret,
        token_url: "https://api.provident.ae/v2/oauth2/token",
    };
    let mac = "0".repeat(64);
    let desired = secret::render(&object, values, &mac);
    assert!(secret::is_current(&desired, &desired));
    limits.hold("render: the default keys", 39, || {
        secret::render(&object, values, &mac)
    });
    limits.hold("render: the largest, for the dry run", 42, || {
        secret::largest(&object, values.token_url)
    });
    limits.hold("compare: a Secret that is as it should be", 68, || {
        secret::is_current(&desired, &desired)
    });
}
