//! What a request may say: the two request schemas of the API document, and the rules it states in words.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::error::ApiError;

/// The allowed values of `tokenLifetimeSeconds`, in seconds; 0 is for ever.
const TOKEN_LIFETIMES: [u64; 6] = [0, 3600, 10_800, 21_600, 43_200, 86_400];

/// `CreateOAuthClient` of the API document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateRequest {
    pub(super) name: String,
    pub(super) redirect_uris: Vec<String>,
    pub(super) allowed_scopes: Vec<String>,
    #[serde(default = "one_hour")]
    pub(super) token_lifetime_seconds: u64,
    #[serde(default = "two_hundred")]
    pub(super) rate_limit_count: u64,
    #[serde(default = "twelve_hours")]
    pub(super) rate_limit_window_seconds: u64,
    #[serde(default)]
    pub(super) ip_restriction: bool,
    #[serde(default)]
    pub(super) allowed_ips: Vec<String>,
}

impl CreateRequest {
    /// A client for the administration API, which the API document takes for granted.
    pub(super) fn administrator() -> Self {
        Self {
            name: "administrator".to_owned(),
            redirect_uris: Vec::new(),
            allowed_scopes: Vec::new(),
            token_lifetime_seconds: one_hour(),
            rate_limit_count: two_hundred(),
            rate_limit_window_seconds: twelve_hours(),
            ip_restriction: false,
            allowed_ips: Vec::new(),
        }
    }
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

/// `UpdateOAuthClient` of the API document: a field left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateRequest {
    #[serde(default, deserialize_with = "given")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) redirect_uris: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_scopes: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    pub(super) is_active: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    pub(super) token_lifetime_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) rate_limit_count: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) rate_limit_window_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) ip_restriction: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    pub(super) allowed_ips: Option<Vec<String>>,
}

/// A field that may be left out and may not be `null`: the API document has no nullable field.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl CreateRequest {
    pub(super) fn check(&self, known_scopes: &BTreeSet<String>) -> Result<(), ApiError> {
        check_redirect_uris(&self.redirect_uris)?;
        check_token_lifetime(self.token_lifetime_seconds)?;
        check_rate_limit_window(self.rate_limit_window_seconds)?;
        check_allowed_ips(&self.allowed_ips)?;
        check_ip_restriction(self.ip_restriction, &self.allowed_ips)?;
        check_scopes(&self.allowed_scopes, known_scopes)
    }
}

impl UpdateRequest {
    /// Checks the given fields; what the client becomes is for [`check_ip_restriction`] to judge.
    pub(super) fn check(&self, known_scopes: &BTreeSet<String>) -> Result<(), ApiError> {
        self.redirect_uris
            .as_deref()
            .map_or(Ok(()), check_redirect_uris)?;
        self.token_lifetime_seconds
            .map_or(Ok(()), check_token_lifetime)?;
        self.rate_limit_window_seconds
            .map_or(Ok(()), check_rate_limit_window)?;
        self.allowed_ips
            .as_deref()
            .map_or(Ok(()), check_allowed_ips)?;
        self.allowed_scopes
            .as_deref()
            .map_or(Ok(()), |scopes| check_scopes(scopes, known_scopes))
    }
}

/// Reads a JSON body of one of the two schemas.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("the body is not as documented: {error}")))
}

/// A restriction to no address at all would lock everybody out.
pub(super) fn check_ip_restriction(
    restricted: bool,
    allowed_ips: &[String],
) -> Result<(), ApiError> {
    if restricted && allowed_ips.is_empty() {
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
