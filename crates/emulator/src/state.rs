//! What the vendor remembers: clients, and the access tokens it issued. No clock and no I/O of its own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::validate::{CreateRequest, UpdateRequest, check_ip_restriction};

/// Access tokens beyond this many push out the oldest.
const MAX_TOKENS: usize = 10_000;

/// A client as the vendor holds it; serialised, it is `OAuthClient` of the API document.
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
    pub token_lifetime_seconds: u64,
    pub rate_limit_count: u64,
    pub rate_limit_window_seconds: u64,
    #[serde(rename = "ip_restriction")]
    pub ip_restriction: bool,
    pub allowed_ips: Vec<String>,
}

/// All but the secret, so that a failed assertion prints none.
impl fmt::Debug for StoredClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredClient")
            .field("client_id", &self.client_id)
            .field("name", &self.name)
            .field("redirect_uris", &self.redirect_uris)
            .field("allowed_scopes", &self.allowed_scopes)
            .field("is_active", &self.is_active)
            .field("token_lifetime_seconds", &self.token_lifetime_seconds)
            .field("rate_limit_count", &self.rate_limit_count)
            .field("rate_limit_window_seconds", &self.rate_limit_window_seconds)
            .field("ip_restriction", &self.ip_restriction)
            .field("allowed_ips", &self.allowed_ips)
            .finish_non_exhaustive()
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

    fn apply(&mut self, change: UpdateRequest) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.name, change.name);
        set(&mut self.redirect_uris, change.redirect_uris);
        set(&mut self.allowed_scopes, change.allowed_scopes);
        set(&mut self.is_active, change.is_active);
        set(
            &mut self.token_lifetime_seconds,
            change.token_lifetime_seconds,
        );
        set(&mut self.rate_limit_count, change.rate_limit_count);
        set(
            &mut self.rate_limit_window_seconds,
            change.rate_limit_window_seconds,
        );
        set(&mut self.ip_restriction, change.ip_restriction);
        set(&mut self.allowed_ips, change.allowed_ips);
    }
}

/// The random parts of a client to be.
pub(super) struct Fresh {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
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

    pub(super) fn create(
        &mut self,
        wanted: CreateRequest,
        fresh: Fresh,
        normalise: bool,
        now: Timestamp,
    ) -> StoredClient {
        let mut client = StoredClient {
            id: fresh.id,
            client_id: fresh.client_id,
            client_secret: fresh.client_secret,
            name: wanted.name,
            redirect_uris: wanted.redirect_uris,
            allowed_scopes: wanted.allowed_scopes,
            is_active: true,
            created_at: now,
            updated_at: now,
            token_lifetime_seconds: wanted.token_lifetime_seconds,
            rate_limit_count: wanted.rate_limit_count,
            rate_limit_window_seconds: wanted.rate_limit_window_seconds,
            ip_restriction: wanted.ip_restriction,
            allowed_ips: wanted.allowed_ips,
        };
        if normalise {
            client.normalise();
        }
        self.clients
            .insert(client.client_id.clone(), client.clone());
        client
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
        change: UpdateRequest,
        normalise: bool,
        now: Timestamp,
    ) -> Result<StoredClient, ApiError> {
        let stored = self
            .clients
            .get_mut(client_id)
            .ok_or_else(ApiError::no_such_client)?;
        let mut client = stored.clone();
        client.apply(change);
        check_ip_restriction(client.ip_restriction, &client.allowed_ips)?;
        if normalise {
            client.normalise();
        }
        if client != *stored {
            client.updated_at = now;
        }
        stored.clone_from(&client);
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
