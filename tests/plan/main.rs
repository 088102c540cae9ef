//! The plan, case by case: what is done next, and what people are told. `tests/model` has every interleaving of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "short tables of cases"
)]

mod adoption;
mod create;
mod facts;
mod kept;
mod rotation;
mod unknown_outcome;

use facts::fresh;
use provident_operator::api::{ConditionStatus, OAuthClientSpec, Reason};
use provident_operator::plan::{
    self, Attempt, AttemptId, Binding, Content, Field, Found, Known, Owner, Record, Report,
    SecretSeen, Seen, Texts, Vendor,
};
use provident_operator::provident::types::ClientId;
use serde_json::json;

fn spec(more: serde_json::Value) -> OAuthClientSpec {
    let mut spec = json!({ "allowedScopes": ["listings:read"] });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn plain() -> OAuthClientSpec {
    spec(json!({}))
}

fn id() -> ClientId {
    ClientId::parse("c1").unwrap()
}

fn attempt(known: Known) -> Option<Attempt> {
    Some(Attempt {
        id: AttemptId("a1".to_owned()),
        retry_of: None,
        known,
    })
}

fn ours(content: Content) -> SecretSeen {
    SecretSeen::Present {
        owner: Owner::This,
        binding: Binding::Valid(id()),
        content,
    }
}

fn found(differs: Vec<Field>) -> Vendor {
    Vendor::Found(Found {
        differs,
        updated: false,
        credentials: true,
        active: true,
        rotated: false,
    })
}

fn kept() -> Seen {
    Seen {
        finalizer: true,
        ready: true,
        record: Record::Bound(id()),
        secret: ours(Content::Current),
        ..fresh()
    }
}

fn told(spec: &OAuthClientSpec, seen: &Seen) -> Report {
    plan::report(spec, seen, None, texts())
}

fn texts() -> Texts<'static> {
    Texts {
        namespace: "shop",
        name: "storefront",
        secret: "storefront",
        vendor_name: "shop-storefront",
        attempt_time: "2026-11-24T10:00:00Z",
    }
}

fn ready(spec: &OAuthClientSpec, seen: &Seen) -> (ConditionStatus, Reason, String) {
    told(spec, seen).ready.expect("Ready is told")
}
