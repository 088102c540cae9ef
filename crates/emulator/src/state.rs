//! What the vendor remembers: clients, and the access tokens it issued. No clock and no I/O of its own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::error::ApiError;
use super::validate::RequestFields;

/// Access tokens beyond this many push out the oldest.
const MAX_TOKENS: usize = 10_000;

/// A client as the vendor holds it; serialised, it is `OAuthClient` of the API document. This is the one list of its fields:
/// requests are laid over it, so a field without a default here is required on create.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of the API document")]
pub struct StoredClient {
    pub id: String,
    pub client_id: String,
    pub client_secret: String,
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub allowed_scopes: Vec<String>,
    pub is_active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default = "one_hour", deserialize_with = "whole")]
    pub token_lifetime_seconds: u64,
    #[serde(default = "two_hundred", deserialize_with = "whole")]
    pub rate_limit_count: u64,
    #[serde(default = "twelve_hours", deserialize_with = "whole")]
    pub rate_limit_window_seconds: u64,
    #[serde(rename = "ip_restriction", default)]
    pub ip_restriction: bool,
    #[serde(default)]
    pub allowed_ips: Vec<String>,
}

fn one_hour() -> u64 {
    3600
}

fn two_hundred() -> u64 {
    200
}

fn twelve_hours() -> u64 {
    43_200
}

/// A JSON number without a fraction: `200.0` is 200.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let whole = || number.as_f64()?.to_string().parse().ok();
    let refused = || D::Error::custom(format!("{number} is not a whole number"));
    number.as_u64().or_else(whole).ok_or_else(refused)
}

/// All but the secret, so that a failed assertion prints none.
impl fmt::Debug for StoredClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = self.fields();
        fields.remove("clientSecret");
        write!(f, "StoredClient {}", Value::Object(fields))
    }
}

impl StoredClient {
    /// What a vendor might do to values it accepts: lower case for the name, order and uniqueness for the lists.
    pub(super) fn normalise(&mut self) {
        self.name = self.name.to_lowercase();
        for list in [
            &mut self.redirect_uris,
            &mut self.allowed_scopes,
            &mut self.allowed_ips,
        ] {
            list.sort();
            list.dedup();
        }
    }

    /// As `OAuthClient` of the API document has them.
    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }
}

/// The random parts of a client to be.
pub(super) struct Fresh {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

impl Fresh {
    /// The client that a create with these fields makes.
    pub(super) fn client(
        self,
        wanted: &RequestFields,
        now: Timestamp,
    ) -> Result<StoredClient, ApiError> {
        let set_by_vendor = [
            ("id", self.id.into()),
            ("clientId", self.client_id.into()),
            ("clientSecret", self.client_secret.into()),
            ("isActive", true.into()),
            ("createdAt", now.to_string().into()),
            ("updatedAt", now.to_string().into()),
        ];
        wanted.over(
            set_by_vendor
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        )
    }
}

/// An access token as `/oauth2/token` answers it.
pub(super) struct Grant {
    pub(super) lifetime_seconds: u64,
    pub(super) scopes: Vec<String>,
}

struct IssuedToken {
    token: String,
    client_id: String,
    /// `None`: never.
    expires_at: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct State {
    clients: BTreeMap<String, StoredClient>,
    tokens: VecDeque<IssuedToken>,
    /// By clientId: a secret that is no longer right, and how many more reads answer it.
    stale: BTreeMap<String, (String, u32)>,
}

impl State {
    pub(super) fn new(clients: Vec<StoredClient>) -> Self {
        let clients = clients
            .into_iter()
            .map(|client| (client.client_id.clone(), client))
            .collect();
        Self {
            clients,
            ..Self::default()
        }
    }

    /// Oldest first.
    pub(super) fn clients(&self) -> Vec<StoredClient> {
        let mut clients: Vec<_> = self.clients.values().cloned().collect();
        clients.sort_by(|a, b| (a.created_at, &a.client_id).cmp(&(b.created_at, &b.client_id)));
        clients
    }

    pub(super) fn client(&self, client_id: &str) -> Option<&StoredClient> {
        self.clients.get(client_id)
    }

    pub(super) fn create(&mut self, mut client: StoredClient, normalise: bool) -> StoredClient {
        if normalise {
            client.normalise();
        }
        self.clients
            .insert(client.client_id.clone(), client.clone());
        client
    }

    /// What a client would become with these fields.
    pub(super) fn changed(
        &self,
        client_id: &str,
        change: &RequestFields,
    ) -> Result<StoredClient, ApiError> {
        let client = self
            .client(client_id)
            .ok_or_else(ApiError::no_such_client)?;
        change.over(client.fields())
    }

    /// The client as GET answers it: with the former secret while a rotation has not come through.
    pub(super) fn read(&mut self, client_id: &str) -> Result<StoredClient, ApiError> {
        let mut client = self
            .clients
            .get(client_id)
            .ok_or_else(ApiError::no_such_client)?
            .clone();
        if let Some((secret, left)) = self.stale.get_mut(client_id)
            && *left > 0
        {
            *left -= 1;
            client.client_secret.clone_from(secret);
        }
        Ok(client)
    }

    pub(super) fn update(
        &mut self,
        client_id: &str,
        change: &RequestFields,
        normalise: bool,
        now: Timestamp,
    ) -> Result<StoredClient, ApiError> {
        let mut client = self.changed(client_id, change)?;
        if normalise {
            client.normalise();
        }
        if self.client(client_id) != Some(&client) {
            client.updated_at = now;
        }
        self.clients.insert(client_id.to_owned(), client.clone());
        Ok(client)
    }

    pub(super) fn rotate(
        &mut self,
        client_id: &str,
        secret: String,
        stale_reads: u32,
        now: Timestamp,
    ) -> Result<StoredClient, ApiError> {
        let client = self
            .clients
            .get_mut(client_id)
            .ok_or_else(ApiError::no_such_client)?;
        let former = std::mem::replace(&mut client.client_secret, secret);
        client.updated_at = now;
        self.stale
            .insert(client_id.to_owned(), (former, stale_reads));
        Ok(client.clone())
    }

    /// A change made in the vendor's own pages.
    pub(super) fn edit(
        &mut self,
        client_id: &str,
        change: impl FnOnce(&mut StoredClient),
        now: Timestamp,
    ) -> bool {
        let Some(client) = self.clients.get_mut(client_id) else {
            return false;
        };
        change(client);
        client.updated_at = now;
        true
    }

    pub(super) fn remove(&mut self, client_id: &str) -> bool {
        self.tokens.retain(|issued| issued.client_id != client_id);
        self.stale.remove(client_id);
        self.clients.remove(client_id).is_some()
    }

    /// RFC 6749 section 4.4; `token` is the text to hand out.
    pub(super) fn grant(
        &mut self,
        client_id: &str,
        client_secret: &str,
        token: String,
        now: Timestamp,
    ) -> Result<Grant, ApiError> {
        let client = self
            .clients
            .get(client_id)
            .filter(|client| client.is_active && client.client_secret == client_secret)
            .ok_or_else(|| {
                ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "invalid_client",
                    "unknown client, wrong secret, or inactive",
                )
            })?;
        let lifetime_seconds = client.token_lifetime_seconds;
        let lifetime = i64::try_from(lifetime_seconds)
            .ok()
            .filter(|seconds| *seconds > 0);
        if self.tokens.len() == MAX_TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back(IssuedToken {
            token,
            client_id: client_id.to_owned(),
            expires_at: lifetime
                .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok()),
        });
        Ok(Grant {
            lifetime_seconds,
            scopes: client.allowed_scopes.clone(),
        })
    }

    pub(super) fn revoke(&mut self) {
        self.tokens.clear();
    }

    /// Whose access token this is, if it is one, has not run out, and its client is active.
    pub(super) fn token_owner(&self, token: &str, now: Timestamp) -> Option<&StoredClient> {
        let issued = self.tokens.iter().find(|issued| issued.token == token)?;
        let running = issued.expires_at.is_none_or(|expires_at| now < expires_at);
        self.clients
            .get(&issued.client_id)
            .filter(|client| running && client.is_active)
    }
}
