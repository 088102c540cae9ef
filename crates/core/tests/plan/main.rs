//! The plan, case by case: the next step, and the report. `tests/model` has every interleaving of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "short tables of cases"
)]

mod adoption;
mod bound;
mod create;
mod facts;
mod rotation;
mod unknown_outcome;

use facts::fresh;
use provident_core::api::{ConditionStatus, OAuthClientSpec, Reason};
use provident_core::plan::{
    self, Attempt, AttemptId, AttemptState, Binding, Content, Facts, Field, Found, MessageContext,
    Owner, RecordedClient, Report, SecretFacts, Vendor,
};
use provident_core::vendor::types::ClientId;
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

fn attempt(state: AttemptState) -> Option<Attempt> {
    Some(Attempt {
        id: AttemptId("a1".to_owned()),
        retry_of: None,
        state,
    })
}

fn ours(content: Content) -> SecretFacts {
    SecretFacts::Present {
        owner: Owner::This,
        binding: Binding::Valid(id()),
        content,
    }
}

fn found(differs: Vec<Field>) -> Vendor {
    Vendor::Found(Found {
        differs,
        credentials: true,
        active: true,
        rotated: false,
    })
}

fn kept() -> Facts {
    Facts {
        finalizer: true,
        ready: true,
        record: RecordedClient::Bound(id()),
        secret: ours(Content::Current),
        ..fresh()
    }
}

fn report_of(spec: &OAuthClientSpec, facts: &Facts) -> Report {
    plan::report(spec, facts, texts())
}

fn texts() -> MessageContext<'static> {
    MessageContext {
        namespace: "shop",
        name: "storefront",
        secret: "storefront",
        vendor_name: "shop-storefront",
        attempt_time: "2026-11-24T10:00:00Z",
    }
}

fn ready(spec: &OAuthClientSpec, facts: &Facts) -> (ConditionStatus, Reason, String) {
    report_of(spec, facts).ready.expect("Ready is reported")
}
