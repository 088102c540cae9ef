//! The vendor's shapes, as its API document gives them. Pure.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;

pub use super::decode::{decode_client, error_code};

/// Largest `clientSecret` that is taken from an answer, in bytes. The dry run before a create uses this size.
pub const MAX_CLIENT_SECRET: usize = 4096;

/// Largest `clientId`, in bytes.
pub const MAX_CLIENT_ID: usize = 128;

/// A `clientId` of safe form: `[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}`, hence one path segment that needs no escaping.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ClientId(String);

impl ClientId {
    /// Takes `text` if it has the safe form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
        let (first, rest) = text.as_bytes().split_first()?;
        let safe = plain(*first)
            && rest.len() < MAX_CLIENT_ID
            && rest.iter().all(|c| plain(*c) || *c == b'.' || *c == b'~');
        safe.then(|| Self(text.to_owned()))
    }

    /// The identifier as the vendor wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Body of `POST /oauth2/clients`. What is `None` is not sent, and the vendor's default holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateRequest {
    /// Display name at the vendor.
    pub name: String,
    /// Redirect URIs; may be empty, never absent.
    pub redirect_uris: Vec<String>,
    /// Scopes the client may ask for.
    pub allowed_scopes: Vec<String>,
    /// Seconds; 0 means tokens that never expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_lifetime_seconds: Option<i32>,
    /// Requests per window; 0 is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_count: Option<i32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_window_seconds: Option<i32>,
    /// Whether `allowedIps` is enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_restriction: Option<bool>,
    /// Addresses or CIDRs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
}

/// Body of `PUT /oauth2/clients/{clientId}`. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRequest {
    /// Display name at the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Redirect URIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Scopes the client may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_scopes: Option<Vec<String>>,
    /// `false` disables the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Seconds; 0 means tokens that never expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_lifetime_seconds: Option<i32>,
    /// Requests per window; 0 is unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_count: Option<i32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_window_seconds: Option<i32>,
    /// Whether `allowedIps` is enforced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_restriction: Option<bool>,
    /// Addresses or CIDRs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
}

/// The vendor's client, read leniently: the API document requires every field, but one that is missing, or of
/// another type, must not cost us the rest of an answer that cannot be had twice.
#[derive(Clone, Debug, Default)]
pub struct VendorClient {
    /// The client's public identifier, unchecked; see [`ClientId::parse`].
    pub client_id: Option<String>,
    /// The secret.
    pub client_secret: Option<SecretString>,
    /// Display name.
    pub name: Option<String>,
    /// Redirect URIs.
    pub redirect_uris: Option<Vec<String>>,
    /// Scopes.
    pub allowed_scopes: Option<Vec<String>>,
    /// Whether the client may get tokens.
    pub is_active: Option<bool>,
    /// When the vendor made it.
    pub created_at: Option<Timestamp>,
    /// Seconds. A JSON number, hence `3600.0` is possible.
    pub token_lifetime_seconds: Option<f64>,
    /// Requests per window.
    pub rate_limit_count: Option<f64>,
    /// Seconds.
    pub rate_limit_window_seconds: Option<f64>,
    /// Snake case in answers, camel case in requests (API document).
    pub ip_restriction: Option<bool>,
    /// Addresses or CIDRs.
    pub allowed_ips: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_one_safe_path_segment() {
        for good in ["a", "9x", "_a.b~c-d", "-", &"a".repeat(128)] {
            assert!(ClientId::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".a",
            "~a",
            "a/b",
            "a%2fb",
            "a b",
            "a?b",
            "a#b",
            "ä",
            &"a".repeat(129),
        ] {
            assert!(ClientId::parse(bad).is_none(), "{bad}");
        }
    }
}
