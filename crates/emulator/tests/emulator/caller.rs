//! A caller of the emulator that hides nothing: no retries, no redirects, the answer as it came.

use std::time::Duration;

use provident_emulator::{Emulator, Fault, Operation, Options};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// Longer than any call here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn start() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    pub fn error_code(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Caller {
    pub fn of(emulator: &Emulator) -> Self {
        Self::with_timeout(emulator, PATIENCE)
    }

    pub fn with_timeout(emulator: &Emulator, timeout: Duration) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(timeout)
            .build()
            .unwrap();
        Self {
            http,
            base: emulator.base_url(),
            token: emulator.token(),
        }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    /// Sends, and reads the head of the answer only.
    pub async fn head(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Response> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        request.send().await
    }

    pub async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        read(self.head(method, path, body).await?).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub async fn create(&self, body: Value) -> Answer {
        self.call(Method::POST, "/oauth2/clients", Some(body)).await
    }

    /// A client of the plainest kind, as the create answered it.
    pub async fn created(&self, name: &str) -> Value {
        let answer = self.create(plain(name)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    pub async fn get(&self, client_id: &str) -> Answer {
        self.call(Method::GET, &format!("/oauth2/clients/{client_id}"), None)
            .await
    }

    pub async fn update(&self, client_id: &str, body: Value) -> Answer {
        self.call(
            Method::PUT,
            &format!("/oauth2/clients/{client_id}"),
            Some(body),
        )
        .await
    }

    pub async fn rotate(&self, client_id: &str) -> Answer {
        self.call(
            Method::POST,
            &format!("/oauth2/clients/{client_id}/rotate-secret"),
            None,
        )
        .await
    }

    /// A request as given, to any path of the server and with any headers.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let root = self.base.strip_suffix("/v2").unwrap();
        let mut request = self
            .http
            .request(method, format!("{root}{path}"))
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send().await.unwrap()).await.unwrap()
    }

    pub async fn token(&self, client_id: &str, client_secret: &str) -> Answer {
        let form = format!(
            "grant_type=client_credentials&client_id={client_id}&client_secret={client_secret}"
        );
        self.raw(
            Method::POST,
            "/v2/oauth2/token",
            &[("content-type", "application/x-www-form-urlencoded")],
            &form,
        )
        .await
    }
}

async fn read(response: Response) -> reqwest::Result<Answer> {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    Ok(Answer {
        status,
        headers,
        text: response.text().await?,
    })
}

pub fn plain(name: &str) -> Value {
    json!({
        "name": name,
        "redirectUris": ["https://shop.example.com/auth/callback"],
        "allowedScopes": ["listings:read"],
    })
}

/// The text of a string field.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// One create, met by this fault.
pub async fn create_with(emulator: &Emulator, fault: Fault) -> reqwest::Result<Answer> {
    emulator.faults().once(Operation::Create, fault);
    Caller::of(emulator)
        .try_call(Method::POST, "/oauth2/clients", Some(plain("Storefront")))
        .await
}
