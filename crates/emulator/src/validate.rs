//! What a request may say: the two request schemas of the API document, and the rules it states in words.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use super::error::ApiError;
use super::state::StoredClient;

/// The allowed values of `tokenLifetimeSeconds`, in seconds; 0 is for ever.
const TOKEN_LIFETIMES: [u64; 6] = [0, 3600, 10_800, 21_600, 43_200, 86_400];

/// Fields of the client that no request sets.
const READ_ONLY: [&str; 5] = ["id", "clientId", "clientSecret", "createdAt", "updatedAt"];

/// The field that answers spell differently, as requests spell it and as answers do.
const IP_RESTRICTION: [&str; 2] = ["ipRestriction", "ip_restriction"];

/// The fields of a request. [`StoredClient`] defines which ones exist, and their types.
#[derive(Debug)]
pub(super) struct RequestFields(Map<String, Value>);

impl RequestFields {
    /// `CreateOAuthClient` of the API document: isActive is a field of the update only.
    pub(super) fn of_create(body: &[u8]) -> Result<Self, ApiError> {
        let fields = Self::of_update(body)?;
        if fields.0.contains_key("isActive") {
            return Err(ApiError::invalid(
                "the body is not as documented: unknown field `isActive`",
            ));
        }
        Ok(fields)
    }

    /// `UpdateOAuthClient` of the API document: a field left out stays as it is.
    pub(super) fn of_update(body: &[u8]) -> Result<Self, ApiError> {
        let fields: Map<String, Value> = parse(body)?;
        let set_by_vendor =
            |name: &&String| READ_ONLY.contains(&name.as_str()) || *name == IP_RESTRICTION[1];
        match fields.keys().find(set_by_vendor) {
            Some(name) => Err(ApiError::invalid(format!(
                "the body is not as documented: unknown field `{name}`"
            ))),
            None => Ok(Self(fields)),
        }
    }

    /// A client for the administration API, which the API document takes for granted.
    pub(super) fn administrator() -> Self {
        let fields = [
            ("name", json!("administrator")),
            ("redirectUris", json!([])),
            ("allowedScopes", json!([])),
        ];
        Self(
            fields
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .collect(),
        )
    }

    /// Forgets these fields.
    pub(super) fn ignore(&mut self, names: &[String]) {
        self.0.retain(|name, _| !names.contains(name));
    }

    /// The client that a new one or an existing one becomes with these fields.
    pub(super) fn over(&self, mut client: Map<String, Value>) -> Result<StoredClient, ApiError> {
        for (name, value) in &self.0 {
            let [request, answer] = IP_RESTRICTION;
            let name = if name == request { answer } else { name };
            client.insert(name.to_owned(), value.clone());
        }
        let client: StoredClient = serde_json::from_value(client.into()).map_err(undocumented)?;
        check_ip_restriction(&client)?;
        Ok(client)
    }

    /// Checks the rules that the API document states in words, for the fields that are given.
    pub(super) fn check(
        &self,
        client: &StoredClient,
        known_scopes: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let given = |name: &str| self.0.contains_key(name);
        if given("redirectUris") {
            check_redirect_uris(&client.redirect_uris)?;
        }
        if given("tokenLifetimeSeconds") {
            check_token_lifetime(client.token_lifetime_seconds)?;
        }
        if given("rateLimitWindowSeconds") {
            check_rate_limit_window(client.rate_limit_window_seconds)?;
        }
        if given("allowedIps") {
            check_allowed_ips(&client.allowed_ips)?;
        }
        if given("allowedScopes") {
            check_scopes(&client.allowed_scopes, known_scopes)?;
        }
        Ok(())
    }
}

/// Reads a JSON body of one of the two schemas.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(undocumented)
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err passes it")]
fn undocumented(error: serde_json::Error) -> ApiError {
    ApiError::invalid(format!("the body is not as documented: {error}"))
}

/// A restriction to no address at all would lock everybody out.
fn check_ip_restriction(client: &StoredClient) -> Result<(), ApiError> {
    if client.ip_restriction && client.allowed_ips.is_empty() {
        return Err(ApiError::invalid_field(
            "allowedIps",
            "ipRestriction needs at least one entry in allowedIps",
        ));
    }
    Ok(())
}

fn check_redirect_uris(uris: &[String]) -> Result<(), ApiError> {
    uris.iter().try_for_each(|uri| match Url::parse(uri) {
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError::invalid_field(
            "redirectUris",
            format!("{uri:?} is not an absolute URL: {error}"),
        )),
    })
}

fn check_token_lifetime(seconds: u64) -> Result<(), ApiError> {
    if TOKEN_LIFETIMES.contains(&seconds) {
        return Ok(());
    }
    Err(ApiError::invalid_field(
        "tokenLifetimeSeconds",
        format!("{seconds} is not one of {TOKEN_LIFETIMES:?}"),
    ))
}

fn check_rate_limit_window(seconds: u64) -> Result<(), ApiError> {
    if seconds >= 1 {
        return Ok(());
    }
    Err(ApiError::invalid_field(
        "rateLimitWindowSeconds",
        "must be 1 or more",
    ))
}

fn check_allowed_ips(entries: &[String]) -> Result<(), ApiError> {
    entries.iter().try_for_each(|entry| {
        if entry.parse::<std::net::IpAddr>().is_ok() || entry.parse::<IpNet>().is_ok() {
            return Ok(());
        }
        Err(ApiError::invalid_field(
            "allowedIps",
            format!("{entry:?} is neither an IP address nor a CIDR"),
        ))
    })
}

fn check_scopes(scopes: &[String], known: &BTreeSet<String>) -> Result<(), ApiError> {
    scopes
        .iter()
        .find(|scope| !known.contains(*scope))
        .map_or(Ok(()), |scope| Err(ApiError::unknown_scope(scope)))
}
