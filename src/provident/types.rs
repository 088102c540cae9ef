//! The vendor's shapes, as its API document gives them. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Largest `clientSecret` that is taken from an answer, in bytes. The dry run before a create uses this size.
pub const MAX_CLIENT_SECRET: usize = 4096;

/// Most fields of an object of an answer.
const MOST_FIELDS: usize = 256;

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

/// The fields of an object as they stand in the text: what is not asked for is never built, so that a small body of many
/// values cannot become a large one in memory. Of a field that stands twice neither is taken for true.
struct Fields<'a>(BTreeMap<Cow<'a, str>, Option<&'a RawValue>>);

impl<'a> Fields<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        *self.0.get(name)?
    }

    fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    fn client(&self) -> VendorClient {
        VendorClient {
            client_id: self.get("clientId"),
            client_secret: self.get("clientSecret"),
            name: self.get("name"),
            redirect_uris: self.get("redirectUris"),
            allowed_scopes: self.get("allowedScopes"),
            is_active: self.get("isActive"),
            created_at: self.get("createdAt"),
            token_lifetime_seconds: self.get("tokenLifetimeSeconds"),
            rate_limit_count: self.get("rateLimitCount"),
            rate_limit_window_seconds: self.get("rateLimitWindowSeconds"),
            ip_restriction: self
                .get("ip_restriction")
                .or_else(|| self.get("ipRestriction")),
            allowed_ips: self.get("allowedIps"),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                    fields
                        .entry(name.0)
                        .and_modify(|twice| *twice = None)
                        .or_insert(Some(value));
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Object)
    }
}

// A key; owned only where it is escaped.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a client from a 2xx body, bare or wrapped in one envelope object of any name (the API document shows it
/// bare, the vendor's own examples do not agree). `None` if there is no object with a `clientId` in it.
#[must_use]
pub fn decode_client(body: &[u8]) -> Option<VendorClient> {
    let outer = Fields::of(body)?;
    let client = if outer.0.contains_key("clientId") {
        outer.client()
    } else {
        let mut wrapped = outer
            .0
            .values()
            .flatten()
            .filter_map(|raw| Fields::of(raw.get().as_bytes()))
            .filter(|fields| fields.0.contains_key("clientId"));
        let found = wrapped.next()?;
        // Two candidates and no rule to choose by: reading either could be reading a stranger's.
        if wrapped.next().is_some() {
            return None;
        }
        found.client()
    };
    Some(client).filter(|client| client.client_id.is_some())
}

/// The code of an error body, if it has one of the form `[a-z_]{1,64}` in `error`, `code`, `error.code` or `error.error`.
/// Nothing else of a vendor's error is ever shown (Kubernetes API conventions: do not copy referred data).
#[must_use]
pub fn error_code(body: &[u8]) -> Option<String> {
    let plain = |text: String| {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
        ok.then_some(text)
    };
    let outer = Fields::of(body)?;
    let inner = outer
        .raw("error")
        .and_then(|error| Fields::of(error.get().as_bytes()));
    let candidates = [
        outer.get("error"),
        outer.get("code"),
        inner.as_ref().and_then(|error| error.get("code")),
        inner.as_ref().and_then(|error| error.get("error")),
    ];
    candidates.into_iter().flatten().find_map(plain)
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
            r#"{"clientId":"x","clientId":"y"}"#,
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
