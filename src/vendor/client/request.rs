//! One request: its token, its time limit, and what its response says about the connection and its rate.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use tracing::debug;

use super::{CALL_WITHIN, Client};
use crate::vendor::call::{Code, Operation, observed};
use crate::vendor::http::{read, request_id, retry_after};
use crate::vendor::limiter::{Permit, quota};
use crate::vendor::response::{Answer, NoAnswer, parse_response};
use crate::vendor::transport_error::describe;
use provident_core::vendor::error::CallError;
use provident_core::vendor::outcome::Reply;
use provident_core::vendor::types::{ClientId, VendorClient};

impl Client {
    // The response to a call for one client: what it says about the connection.
    pub(super) fn report(
        &self,
        client: Result<VendorClient, CallError>,
    ) -> Result<VendorClient, CallError> {
        match &client {
            Ok(_) => self.health.succeeded(),
            Err(
                CallError::Unauthorized
                | CallError::Forbidden
                | CallError::Status(_)
                | CallError::Unreachable(_)
                | CallError::MalformedResponse(_),
            ) => self.health.request_probe(),
            // One client is missing, or its spec is wrong, or there was no request; a limit is no failure.
            Err(
                CallError::NotFound
                | CallError::Rejected { .. }
                | CallError::Token(_)
                | CallError::Throttled(_),
            ) => {}
        }
        client
    }

    // A POST is sent once, with the cached token, and never repeated here, whatever the response: when its token was
    // refused nothing was done, so the next attempt, with its own record, uses another token.
    pub(super) async fn once<B: Serialize>(
        &self,
        permit: &Permit,
        operation: Operation,
        path: &str,
        body: Option<&B>,
        within: Duration,
    ) -> Result<Answer, NoAnswer> {
        let token = self.tokens.cached().ok_or_else(|| NoAnswer {
            reply: Reply::NeverConnected,
            why: Some("no access token is cached".to_owned()),
        })?;
        let request = async {
            let sent = self.send(permit, Method::POST, path, body, within, Some(&token));
            let error = match sent.await {
                Ok(answer) => return (Code::Status(answer.status.as_u16()), Ok(answer)),
                Err(error) => error,
            };
            let code = Code::without_answer(&error);
            let reply = match code {
                Code::NoConnection => Reply::NeverConnected,
                _ => Reply::NoAnswer,
            };
            let why = Some(describe(&error));
            (code, Err(NoAnswer { reply, why }))
        };
        let answer = observed(&self.observer, operation, request).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            self.tokens.drop_refused(&token);
        }
        Ok(answer)
    }

    pub(super) async fn call<B: Serialize>(
        &self,
        permit: &Permit,
        operation: Operation,
        method: Method,
        id: &ClientId,
        body: Option<&B>,
    ) -> Result<VendorClient, CallError> {
        // A ClientId needs no escaping: its form is that of one unreserved path segment (RFC 3986 §2.3).
        let path = format!("/{id}");
        let ask = async |token: HeaderValue| {
            let request = async {
                let sent = self.send(
                    permit,
                    method.clone(),
                    &path,
                    body,
                    CALL_WITHIN,
                    Some(&token),
                );
                parse_response(sent.await, id, operation == Operation::Update)
            };
            observed(&self.observer, operation, request).await
        };
        let token = self.tokens.get().await?;
        let answer = ask(token.clone()).await;
        if matches!(answer, Err(CallError::Unauthorized)) && self.tokens.drop_refused(&token) {
            // GET and PUT may be repeated: once, with another token than the refused one.
            return ask(self.tokens.get().await?).await;
        }
        answer
    }

    pub(super) async fn send<B: Serialize>(
        &self,
        permit: &Permit,
        method: Method,
        path: &str,
        body: Option<&B>,
        within: Duration,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(
                method.clone(),
                format!("{}/oauth2/clients{path}", self.base_url),
            )
            .header(ACCEPT, "application/json")
            .timeout(within);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            // Plain structs of strings and numbers always serialize.
            let body = serde_json::to_vec(body).unwrap_or_default();
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await?;
        let body = read(&mut response).await;
        let answer = Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        };
        permit.response(
            answer.status == StatusCode::TOO_MANY_REQUESTS,
            retry_after(&answer.headers),
            quota(&answer.headers),
        );
        // Of the body its size and no more: a vendor may echo a token or a secret in it.
        debug!(
            %method,
            status = answer.status.as_u16(),
            bytes = answer.body.as_ref().map_or(0, Vec::len),
            request_id = request_id(&answer.headers).unwrap_or_default(),
            "Received a vendor response"
        );
        Ok(answer)
    }
}
