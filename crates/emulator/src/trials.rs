//! Paths beside the vendor's API, for trials by hand and for measurements. All but the page want the bearer token.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /` | a page with the clients, without their secrets |
//! | `GET /clients` | all clients as JSON, oldest first, with their secrets |
//! | `GET /calls` | how often each operation was read and done: `{"operations": {"create": {"read": 2, "done": 1}}, "mostInFlight": 2}` |
//! | `POST /faults` | adds a [`Rule`](super::Rule) |
//! | `DELETE /faults` | removes all rules and latencies |
//! | `PUT /rate-limit` | limits all requests by a [`RateLimit`](super::RateLimit); `DELETE` ends it |
//! | `PUT /latency` | `{"milliseconds": 50}`: every call waits so long before it is carried out |

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::answer::error;
use super::faults::Operation;
use super::journal::Count;
use super::limit::RateLimit;
use super::page;
use super::routes::{ReadBody, Shares, unreadable};
use super::rule::Rule;
use super::shared::Shared;
use super::validate::parse;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(clients_page))
        .route("/clients", get(clients))
        .route("/calls", get(calls))
        .route("/faults", post(add_fault).delete(clear_faults))
        .route("/latency", put(set_latency))
        .route("/rate-limit", put(set_rate_limit).delete(clear_rate_limit))
}

async fn clients_page(State(shared): Shares) -> ([(HeaderName, HeaderValue); 1], Html<String>) {
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    (
        [(CONTENT_SECURITY_POLICY, policy)],
        Html(page::render(&shared.state().clients())),
    )
}

async fn clients(State(shared): Shares, headers: HeaderMap) -> Response<Body> {
    authorized(&shared, &headers, || {
        Json(shared.state().clients()).into_response()
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    operations: BTreeMap<Operation, Count>,
    most_in_flight: usize,
}

async fn calls(State(shared): Shares, headers: HeaderMap) -> Response<Body> {
    authorized(&shared, &headers, || {
        Json(Calls {
            operations: shared.journal.counts(),
            most_in_flight: shared.journal.most_in_flight(),
        })
        .into_response()
    })
}

async fn add_fault(State(shared): Shares, headers: HeaderMap, body: ReadBody) -> Response<Body> {
    configure(&shared, &headers, body, |rule: Rule| {
        shared.faults.add(rule);
    })
}

async fn clear_faults(State(shared): Shares, headers: HeaderMap) -> Response<Body> {
    authorized(&shared, &headers, || {
        shared.faults.clear();
        no_content()
    })
}

async fn set_rate_limit(
    State(shared): Shares,
    headers: HeaderMap,
    body: ReadBody,
) -> Response<Body> {
    configure(&shared, &headers, body, |limit: RateLimit| {
        shared.faults.set_rate_limit(Some(limit));
    })
}

async fn clear_rate_limit(State(shared): Shares, headers: HeaderMap) -> Response<Body> {
    authorized(&shared, &headers, || {
        shared.faults.set_rate_limit(None);
        no_content()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    milliseconds: u64,
}

async fn set_latency(State(shared): Shares, headers: HeaderMap, body: ReadBody) -> Response<Body> {
    configure(&shared, &headers, body, |latency: Latency| {
        let latency = Duration::from_millis(latency.milliseconds);
        shared.faults.set_latency_of_all(latency);
    })
}

/// Passes an authorized caller's body to `take`.
fn configure<T: for<'de> Deserialize<'de>>(
    shared: &Shared,
    headers: &HeaderMap,
    body: ReadBody,
    take: impl FnOnce(T),
) -> Response<Body> {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unreadable(&rejection),
    };
    authorized(shared, headers, || match parse(&body) {
        Ok(read) => {
            take(read);
            no_content()
        }
        Err(refusal) => error(&refusal, None),
    })
}

/// Answers an authorized caller.
fn authorized(
    shared: &Shared,
    headers: &HeaderMap,
    answer: impl FnOnce() -> Response<Body>,
) -> Response<Body> {
    match shared.authorize(headers) {
        Ok(()) => answer(),
        Err(refusal) => error(&refusal, None),
    }
}

fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
