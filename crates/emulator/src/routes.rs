//! Which path is which operation.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::{get, post};

use super::answer::error;
use super::call::{Request, handle};
use super::error::ApiError;
use super::faults::Operation;
use super::journal::Call;
use super::shared::{Shared, now};
use super::trials;

/// No request of this API comes near.
const MAX_BODY: usize = 64 * 1024;

pub(super) type Shares = State<Arc<Shared>>;
pub(super) type ReadBody = Result<Bytes, BytesRejection>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/oauth2/clients", post(create))
        .route("/oauth2/clients/{client_id}", get(read).put(update))
        .route("/oauth2/clients/{client_id}/rotate-secret", post(rotate))
        .route("/oauth2/token", post(token));
    Router::new()
        .merge(trials::router())
        .nest("/v2", api)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

async fn create(State(shared): Shares, headers: HeaderMap, body: ReadBody) -> Response<Body> {
    call(shared, Operation::Create, None, headers, body).await
}

async fn read(
    State(shared): Shares,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: ReadBody,
) -> Response<Body> {
    call(shared, Operation::Get, Some(id), headers, body).await
}

async fn update(
    State(shared): Shares,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: ReadBody,
) -> Response<Body> {
    call(shared, Operation::Update, Some(id), headers, body).await
}

async fn rotate(
    State(shared): Shares,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: ReadBody,
) -> Response<Body> {
    call(shared, Operation::Rotate, Some(id), headers, body).await
}

async fn token(State(shared): Shares, headers: HeaderMap, body: ReadBody) -> Response<Body> {
    call(shared, Operation::Token, None, headers, body).await
}

async fn call(
    shared: Arc<Shared>,
    operation: Operation,
    client_id: Option<String>,
    headers: HeaderMap,
    body: ReadBody,
) -> Response<Body> {
    match body {
        Ok(body) => {
            handle(
                shared,
                Request {
                    operation,
                    client_id,
                    headers,
                    body,
                },
            )
            .await
        }
        Err(rejection) => unreadable(&rejection),
    }
}

pub(super) fn unreadable(rejection: &BytesRejection) -> Response<Body> {
    error(
        &ApiError::new(rejection.status(), "unreadable_body", rejection.body_text()),
        None,
    )
}

async fn no_such_path(
    State(shared): Shares,
    method: Method,
    uri: axum::http::Uri,
) -> Response<Body> {
    undocumented(&shared, StatusCode::NOT_FOUND, &method, uri.path())
}

async fn no_such_method(
    State(shared): Shares,
    method: Method,
    uri: axum::http::Uri,
) -> Response<Body> {
    undocumented(&shared, StatusCode::METHOD_NOT_ALLOWED, &method, uri.path())
}

fn undocumented(
    shared: &Shared,
    status: StatusCode,
    method: &Method,
    path: &str,
) -> Response<Body> {
    tracing::debug!(%method, path, "the API document has no such operation");
    shared.journal.arrived(Call {
        operation: Operation::Undocumented,
        client_id: None,
        name: None,
        fields: Vec::new(),
        committed: false,
        status: Some(status.as_u16()),
        at: now(),
    });
    error(&ApiError::undocumented(status), None)
}
