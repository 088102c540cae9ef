//! The emulator as a measurement sees it: what it was asked, and how it is told to be slow or in trouble.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The bearer token of the emulator's administration API.
pub const TOKEN: &str = "bench-token-of-the-emulator";

/// Talks to the emulator; clones share connections.
#[derive(Debug, Clone)]
pub struct Vendor {
    http: reqwest::Client,
    /// Where the vendor's API is, `http://127.0.0.1:<port>/v2`.
    pub base_url: String,
}

/// What the emulator was asked.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// By operation: calls that were read.
    pub read: BTreeMap<String, u64>,
    /// Creates that were carried out.
    pub created: u64,
    /// The most that were carried out at once since it started.
    pub most_in_flight: u64,
}

impl Calls {
    /// All calls since `before`.
    pub fn since(&self, before: &Self) -> u64 {
        let all = |calls: &Self| calls.read.values().sum::<u64>();
        all(self) - all(before)
    }

    /// Calls of one operation.
    pub fn of(&self, operation: &str) -> u64 {
        self.read.get(operation).copied().unwrap_or_default()
    }
}

impl Vendor {
    /// The emulator at this base URL.
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

    /// Every call takes so long from now on.
    pub async fn set_latency(&self, milliseconds: u64) -> Result<()> {
        let body = json!({ "milliseconds": milliseconds });
        send(self.beside(Method::PUT, "/latency"), Some(&body)).await?;
        Ok(())
    }

    /// Adds a fault, as the emulator's `Rule` has it.
    pub async fn add_fault(&self, rule: &Value) -> Result<()> {
        send(self.beside(Method::POST, "/faults"), Some(rule)).await?;
        Ok(())
    }

    /// Removes all faults and latencies.
    pub async fn clear(&self) -> Result<()> {
        send(self.beside(Method::DELETE, "/faults"), None).await?;
        Ok(())
    }

    /// What it was asked so far.
    pub async fn calls(&self) -> Result<Calls> {
        let told = send(self.beside(Method::GET, "/calls"), None).await?;
        let operations = told["operations"].as_object().context("no operations")?;
        let read = |(name, count): (&String, &Value)| {
            (name.clone(), count["read"].as_u64().unwrap_or_default())
        };
        Ok(Calls {
            read: operations.iter().map(read).collect(),
            created: told["operations"]["create"]["done"]
                .as_u64()
                .unwrap_or_default(),
            most_in_flight: told["mostInFlight"].as_u64().unwrap_or_default(),
        })
    }

    /// All clients, with their secrets.
    pub async fn clients(&self) -> Result<Vec<Value>> {
        let told = send(self.beside(Method::GET, "/clients"), None).await?;
        Ok(told.as_array().context("no list of clients")?.clone())
    }

    /// Creates a client, as the floor does it; answers its clientId and its secret.
    pub async fn create(&self, name: &str) -> Result<(String, String)> {
        let body = json!({ "name": name, "redirectUris": ["https://shop.example.com/auth/callback"], "allowedScopes": ["listings:read"] });
        let path = format!("{}/oauth2/clients", self.base_url);
        let made = send(self.http.post(path), Some(&body)).await?;
        let text = |field: &str| Some(made[field].as_str()?.to_owned());
        let pair = text("clientId").zip(text("clientSecret"));
        pair.context("the emulator made no client")
    }

    fn beside(&self, method: Method, path: &str) -> RequestBuilder {
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
