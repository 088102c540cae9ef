//! One call, from the request that was read to the answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::answer::{Confidential, Outcome, Reply, add_headers, cut, reply};
use super::error::ApiError;
use super::faults::{Answer, Fault, Operation, When};
use super::journal::{Call, CallNumber};
use super::random;
use super::server::CutConnection;
use super::shared::{Shared, now};
use super::state::Fresh;
use super::validate::RequestFields;

/// A request for a documented operation, body included.
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) client_id: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Answers, or cuts the connection, or does not return.
pub(super) async fn handle(shared: Arc<Shared>, request: Request) -> Response<Body> {
    let body = match request.operation {
        Operation::Create | Operation::Update => {
            serde_json::from_slice(&request.body).unwrap_or_default()
        }
        _ => Map::new(),
    };
    let name = body.get("name").and_then(Value::as_str).map(str::to_owned);
    let target = request.client_id.as_deref().or(name.as_deref());
    let limited = shared.faults.limit();
    let headers = limited.iter().flat_map(|limited| limited.headers.clone());
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let fault = match &limited {
        Some(limited) if limited.rejected => {
            Some(Fault::Answer(headers.iter().fold(
                Answer::new(When::BeforeCommit, 429),
                |answer, header| answer.header(&header.0, &header.1),
            )))
        }
        _ => shared.faults.take(request.operation, target),
    };
    let call = shared.journal.arrived(Call {
        operation: request.operation,
        client_id: request.client_id.clone(),
        fields: body.keys().cloned().collect(),
        name,
        committed: false,
        status: None,
        at: now(),
    });
    // A vendor that has read a request carries it out, also when the caller has hung up meanwhile. hyper drops this
    // future then; a task of its own goes on.
    let stop = shared.stop.clone();
    let work = carry_out(Arc::clone(&shared), request, call, fault);
    let work = shared.work.spawn(stop.run_until_cancelled_owned(work));
    shared.journal.in_flight(shared.work.len());
    match work.await {
        Ok(Some(Reply::Send(mut response))) => {
            if response.status() != StatusCode::TOO_MANY_REQUESTS {
                add_headers(&mut response, &headers);
            }
            if response.extensions().get::<CutConnection>().is_none() {
                shared.journal.answered(call, response.status().as_u16());
            }
            response
        }
        Ok(Some(Reply::Hang)) => std::future::pending().await,
        Ok(None) | Err(_) => cut(),
    }
}

async fn carry_out(
    shared: Arc<Shared>,
    request: Request,
    call: CallNumber,
    fault: Option<Fault>,
) -> Reply {
    let operation = request.operation;
    tokio::time::sleep(shared.faults.latency(operation)).await;
    for gate in shared.faults.gates(operation, When::BeforeCommit) {
        gate.pass().await;
    }
    let outcome = if fault.as_ref().is_some_and(Fault::prevents_commit) {
        None
    } else {
        Some(commit(&shared, &request, call, fault.as_ref()).unwrap_or_else(Outcome::Refused))
    };
    for gate in shared.faults.gates(operation, When::AfterCommit) {
        gate.pass().await;
    }
    let client_secret = match &outcome {
        Some(Outcome::Client(_, client) | Outcome::Rotated(client)) => {
            Some(client.client_secret.clone())
        }
        _ if operation == Operation::Token => form_field(&request.body, "client_secret").ok(),
        _ => request.client_id.and_then(|id| {
            shared
                .state()
                .client(&id)
                .map(|client| client.client_secret.clone())
        }),
    };
    let authorization = request
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let confidential = Confidential {
        authorization,
        client_secret,
    };
    reply(
        outcome,
        fault.as_ref(),
        shared.faults.switches(),
        &confidential,
    )
}

/// What the API document says about the operation; nothing has changed if this fails.
fn commit(
    shared: &Shared,
    request: &Request,
    call: CallNumber,
    fault: Option<&Fault>,
) -> Result<Outcome, ApiError> {
    if request.operation == Operation::Token {
        return token(shared, request, call, fault);
    }
    shared.authorize(&request.headers)?;
    let client_id = request.client_id.as_deref().unwrap_or_default();
    match request.operation {
        Operation::Create => create(shared, request, call, fault),
        Operation::Update => update(shared, client_id, request, call, fault),
        Operation::Rotate => rotate(shared, client_id, call, fault),
        Operation::Get => {
            let client = shared.state().read(client_id)?;
            shared.journal.committed(call, client_id);
            Ok(Outcome::Client(StatusCode::OK, client))
        }
        Operation::Token | Operation::Undocumented => {
            Err(ApiError::undocumented(StatusCode::NOT_FOUND))
        }
    }
}

fn create(
    shared: &Shared,
    request: &Request,
    call: CallNumber,
    fault: Option<&Fault>,
) -> Result<Outcome, ApiError> {
    require_content_type(&request.headers, "application/json")?;
    let wanted = RequestFields::of_create(&request.body)?;
    let fresh = Fresh {
        id: random::hex(12)?,
        client_id: random::hex(16)?,
        client_secret: random::secret()?,
    };
    let client = fresh.client(&wanted, now())?;
    wanted.check(&client, &shared.scopes)?;
    if let Some(Fault::ExistingClient(client_id)) = fault {
        let client = shared
            .state()
            .client(client_id)
            .cloned()
            .ok_or_else(ApiError::no_such_client)?;
        return Ok(Outcome::Client(StatusCode::CREATED, client));
    }
    let normalise = fault == Some(&Fault::Normalise);
    let client = shared.change(|state| state.create(client, normalise));
    shared.journal.keep_secret(&client.client_secret);
    shared.journal.committed(call, &client.client_id);
    Ok(Outcome::Client(StatusCode::CREATED, client))
}

fn update(
    shared: &Shared,
    client_id: &str,
    request: &Request,
    call: CallNumber,
    fault: Option<&Fault>,
) -> Result<Outcome, ApiError> {
    require_content_type(&request.headers, "application/json")?;
    let mut change = RequestFields::of_update(&request.body)?;
    let changed = shared.state().changed(client_id, &change)?;
    change.check(&changed, &shared.scopes)?;
    if let Some(Fault::IgnoreFields(ignored)) = fault {
        change.ignore(ignored);
    }
    let normalise = fault == Some(&Fault::Normalise);
    let client = shared.change(|state| state.update(client_id, &change, normalise, now()))?;
    shared.journal.committed(call, client_id);
    Ok(Outcome::Client(StatusCode::OK, client))
}

fn rotate(
    shared: &Shared,
    client_id: &str,
    call: CallNumber,
    fault: Option<&Fault>,
) -> Result<Outcome, ApiError> {
    let secret = random::secret()?;
    let stale_reads = match fault {
        Some(Fault::StaleReads(count)) => *count,
        _ => 0,
    };
    let client = shared.change(|state| state.rotate(client_id, secret, stale_reads, now()))?;
    shared.journal.keep_secret(&client.client_secret);
    shared.journal.committed(call, client_id);
    Ok(Outcome::Rotated(client))
}

/// RFC 6749 sections 3.2 and 4.4, with the client's credentials in the form as the API document has it.
fn token(
    shared: &Shared,
    request: &Request,
    call: CallNumber,
    fault: Option<&Fault>,
) -> Result<Outcome, ApiError> {
    require_content_type(&request.headers, "application/x-www-form-urlencoded")?;
    let [grant_type, client_id, client_secret] =
        ["grant_type", "client_id", "client_secret"].map(|name| form_field(&request.body, name));
    let (grant_type, client_id, client_secret) = (grant_type?, client_id?, client_secret?);
    if grant_type != "client_credentials" {
        let message = "grant_type must be client_credentials";
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            message,
        ));
    }
    let token = random::secret()?;
    let grant = shared
        .state()
        .grant(&client_id, &client_secret, token.clone(), now())?;
    let stated = match fault {
        Some(Fault::ExpiresIn(stated)) => stated.clone(),
        _ => Some(grant.lifetime_seconds.into()),
    };
    shared.journal.keep_secret(&token);
    shared.journal.committed(call, &client_id);
    Ok(Outcome::Token(token, grant, stated))
}

/// The value of a field that must occur exactly once; others are ignored.
fn form_field(body: &[u8], name: &'static str) -> Result<String, ApiError> {
    let mut values = form_urlencoded::parse(body)
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.into_owned()),
        (None, _) => Err(ApiError::invalid_field(name, format!("{name} is missing"))),
        (Some(_), Some(_)) => Err(ApiError::invalid_field(
            name,
            format!("{name} is given more than once"),
        )),
    }
}

fn require_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let message = format!("Content-Type must be {wanted}");
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        message,
    ))
}
