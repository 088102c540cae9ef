//! A client of the emulator's control API: counts calls, and configures latency and faults.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The bearer token of the emulator's administration API.
pub const TOKEN: &str = "bench-token-of-the-emulator";

/// A client of the emulator. Clones share connections.
#[derive(Debug, Clone)]
pub struct Vendor {
    http: reqwest::Client,
    /// The base URL of the vendor's API, `http://127.0.0.1:<port>/v2`.
    pub base_url: String,
}

/// The calls that the emulator received.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// Calls received, by operation.
    pub read: BTreeMap<String, u64>,
    /// Creates that succeeded.
    pub created: u64,
    /// The most calls in progress at once since it started.
    pub most_in_flight: u64,
}

impl Calls {
    /// The number of calls since `before`.
    pub fn since(&self, before: &Self) -> u64 {
        let all = |calls: &Self| calls.read.values().sum::<u64>();
        all(self) - all(before)
    }

    /// The number of calls of one operation.
    pub fn of(&self, operation: &str) -> u64 {
        self.read.get(operation).copied().unwrap_or_default()
    }
}

impl Vendor {
    /// A client of the emulator at this base URL.
    pub fn new(base_url: &str) -> Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            base_url: base_url.to_owned(),
        })
    }

    /// The emulator's address, without the path of the API.
    pub fn host(&self) -> &str {
        self.base_url.trim_end_matches("/v2")
    }

    /// Delays every call from now on.
    pub async fn set_latency(&self, milliseconds: u64) -> Result<()> {
        let body = json!({ "milliseconds": milliseconds });
        send(self.control(Method::PUT, "/latency"), Some(&body)).await?;
        Ok(())
    }

    /// Adds a fault, in the form of the emulator's `Rule`.
    pub async fn add_fault(&self, rule: &Value) -> Result<()> {
        send(self.control(Method::POST, "/faults"), Some(rule)).await?;
        Ok(())
    }

    /// Removes all faults and latencies.
    pub async fn clear(&self) -> Result<()> {
        send(self.control(Method::DELETE, "/faults"), None).await?;
        Ok(())
    }

    /// The calls so far.
    pub async fn calls(&self) -> Result<Calls> {
        let answer = send(self.control(Method::GET, "/calls"), None).await?;
        let operations = answer["operations"].as_object().context("no operations")?;
        let read = |(name, count): (&String, &Value)| {
            (name.clone(), count["read"].as_u64().unwrap_or_default())
        };
        Ok(Calls {
            read: operations.iter().map(read).collect(),
            created: answer["operations"]["create"]["done"]
                .as_u64()
                .unwrap_or_default(),
            most_in_flight: answer["mostInFlight"].as_u64().unwrap_or_default(),
        })
    }

    /// All clients, with their secrets.
    pub async fn clients(&self) -> Result<Vec<Value>> {
        let answer = send(self.control(Method::GET, "/clients"), None).await?;
        Ok(answer.as_array().context("no list of clients")?.clone())
    }

    /// Creates a client for the floor. Returns its clientId and its secret.
    pub async fn create(&self, name: &str) -> Result<(String, String)> {
        let body = json!({ "name": name, "redirectUris": ["https://shop.example.com/auth/callback"], "allowedScopes": ["listings:read"] });
        let path = format!("{}/oauth2/clients", self.base_url);
        let made = send(self.http.post(path), Some(&body)).await?;
        let text = |field: &str| Some(made[field].as_str()?.to_owned());
        let pair = text("clientId").zip(text("clientSecret"));
        pair.context("the emulator returned no client")
    }

    fn control(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.host()))
    }
}

async fn send(request: RequestBuilder, body: Option<&Value>) -> Result<Value> {
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => request,
    };
    let answer = request
        .bearer_auth(TOKEN)
        .send()
        .await?
        .error_for_status()?;
    let bytes = answer.bytes().await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    Ok(serde_json::from_slice(&bytes)?)
}
