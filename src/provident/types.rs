//! The vendor's shapes, as its API document gives them. Pure.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VendorClient {
    /// The client's public identifier, unchecked; see [`ClientId::parse`].
    #[serde(default, deserialize_with = "lenient")]
    pub client_id: Option<String>,
    /// The secret.
    #[serde(default, deserialize_with = "lenient")]
    pub client_secret: Option<SecretString>,
    /// Display name.
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    /// Redirect URIs.
    #[serde(default, deserialize_with = "lenient")]
    pub redirect_uris: Option<Vec<String>>,
    /// Scopes.
    #[serde(default, deserialize_with = "lenient")]
    pub allowed_scopes: Option<Vec<String>>,
    /// Whether the client may get tokens.
    #[serde(default, deserialize_with = "lenient")]
    pub is_active: Option<bool>,
    /// When the vendor made it.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// Seconds. A JSON number, hence `3600.0` is possible.
    #[serde(default, deserialize_with = "lenient")]
    pub token_lifetime_seconds: Option<f64>,
    /// Requests per window.
    #[serde(default, deserialize_with = "lenient")]
    pub rate_limit_count: Option<f64>,
    /// Seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub rate_limit_window_seconds: Option<f64>,
    /// Snake case in answers, camel case in requests (API document).
    #[serde(
        default,
        rename = "ip_restriction",
        alias = "ipRestriction",
        deserialize_with = "lenient"
    )]
    pub ip_restriction: Option<bool>,
    /// Addresses or CIDRs.
    #[serde(default, deserialize_with = "lenient")]
    pub allowed_ips: Option<Vec<String>>,
}

fn lenient<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Read(T),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Either::deserialize(from)? {
        Either::Read(value) => Some(value),
        Either::Other(_) => None,
    })
}

/// Reads a client from a 2xx body, bare or wrapped in one envelope object of any name (the API document shows it
/// bare, the vendor's own examples do not agree). `None` if there is no object with a `clientId` in it.
#[must_use]
pub fn decode_client(body: &[u8]) -> Option<VendorClient> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object()?;
    let inner = if object.contains_key("clientId") {
        &value
    } else {
        let mut wrapped = object.values().filter(|v| v.get("clientId").is_some());
        let found = wrapped.next()?;
        // Two candidates and no rule to choose by: reading either could be reading a stranger's.
        if wrapped.next().is_some() {
            return None;
        }
        found
    };
    VendorClient::deserialize(inner)
        .ok()
        .filter(|c| c.client_id.is_some())
}

/// The code of an error body, if it has one of the form `[a-z_]{1,64}` in `error`, `code`, `error.code` or `error.error`.
/// Nothing else of a vendor's error is ever shown (Kubernetes API conventions: do not copy referred data).
#[must_use]
pub fn error_code(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let plain = |v: &serde_json::Value| {
        let text = v.as_str()?;
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
        ok.then(|| text.to_owned())
    };
    ["/error", "/code", "/error/code", "/error/error"]
        .iter()
        .find_map(|path| value.pointer(path).and_then(plain))
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

    #[test]
    fn bare_and_enveloped_answers_read_alike() {
        for body in [
            r#"{"clientId":"c1","tokenLifetimeSeconds":3600.0,"ip_restriction":true}"#,
            r#"{"data":{"clientId":"c1","tokenLifetimeSeconds":3600,"ip_restriction":true}}"#,
            r#"{"success":true,"client":{"clientId":"c1","tokenLifetimeSeconds":3600,"ip_restriction":true}}"#,
        ] {
            let read = decode_client(body.as_bytes()).unwrap();
            assert_eq!(read.client_id.as_deref(), Some("c1"), "{body}");
            assert_eq!(read.token_lifetime_seconds, Some(3600.0), "{body}");
            assert_eq!(read.ip_restriction, Some(true), "{body}");
        }
    }

    #[test]
    fn a_field_of_a_wrong_type_does_not_cost_the_client_id() {
        let read = decode_client(
            br#"{"clientId":"c1","clientSecret":17,"allowedIps":null,"createdAt":"soon"}"#,
        )
        .unwrap();
        assert_eq!(read.client_id.as_deref(), Some("c1"));
        assert!(
            read.client_secret.is_none() && read.allowed_ips.is_none() && read.created_at.is_none()
        );
    }

    #[test]
    fn what_is_no_client_is_not_read_as_one() {
        for body in [
            "",
            "null",
            "[]",
            "<html>",
            r#"{"data":{}}"#,
            r#"{"a":{"clientId":"x"},"b":{"clientId":"y"}}"#,
            r#"{"clientId":7}"#,
        ] {
            assert!(decode_client(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn only_a_plain_code_is_taken_from_an_error() {
        assert_eq!(
            error_code(br#"{"error":"invalid_scope"}"#).as_deref(),
            Some("invalid_scope")
        );
        assert_eq!(
            error_code(br#"{"error":{"code":"bad_name"}}"#).as_deref(),
            Some("bad_name")
        );
        assert_eq!(error_code(br#"{"error":"Bearer abc123"}"#), None);
        assert_eq!(error_code(b"oops"), None);
    }
}
