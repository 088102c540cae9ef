//! Reading an answer of the vendor's: leniently, and without building what is not asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::types::VendorClient;

/// Most fields of an object of an answer.
const MOST_FIELDS: usize = 256;

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
