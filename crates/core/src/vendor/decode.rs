//! Reading an answer of the vendor's: leniently, and without building what is not asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::field::{Field, FieldValue};
use super::types::{MAX_CLIENT_SECRET, VendorClient};

/// Most fields of an object of an answer.
const MOST_FIELDS: usize = 256;

/// The fields of an object as they stand in the text: what is not asked for is never built, so that a small body of many
/// values cannot become a large one in memory. If a field occurs twice, neither value is used.
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
        let mut fields = BTreeMap::new();
        for field in Field::ALL {
            let alias = field.answer_alias().and_then(|name| self.value(name));
            if let Some(value) = alias.or_else(|| self.value(field.as_str())) {
                fields.insert(*field, value);
            }
        }
        VendorClient {
            client_id: self.get("clientId"),
            client_secret: self.get("clientSecret").and_then(credential),
            created_at: self.get("createdAt"),
            fields,
        }
    }

    // One of the types that a field of the client can have, so that nothing nested is ever built.
    fn value(&self, name: &str) -> Option<FieldValue<'static>> {
        let text = self.raw(name)?.get();
        match text.as_bytes().first()? {
            b'"' => serde_json::from_str(text).map(FieldValue::Text).ok(),
            b'[' => serde_json::from_str(text).map(FieldValue::List).ok(),
            b't' | b'f' => serde_json::from_str(text).map(FieldValue::Flag).ok(),
            b'-' | b'0'..=b'9' => serde_json::from_str(text).map(FieldValue::Number).ok(),
            _ => None,
        }
    }
}

/// Takes `text` for a client secret if it can be one. One that is blank, too long or has control characters (RFC 6749
/// appendix A.2 has none) counts as missing, so that it never overwrites a working one.
fn credential(text: String) -> Option<SecretString> {
    let possible = !text.trim().is_empty()
        && text.len() <= MAX_CLIENT_SECRET
        && !text.contains(char::is_control);
    possible.then(|| text.into())
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
    use secrecy::ExposeSecret;

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
            let holds = |field, value: FieldValue| read.fields[&field].is_equivalent(&value);
            assert!(holds(Field::TokenLifetimeSeconds, (&3600).into()), "{body}");
            assert!(
                holds(Field::IpRestriction, FieldValue::Flag(true)),
                "{body}"
            );
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
            read.client_secret.is_none() && read.fields.is_empty() && read.created_at.is_none()
        );
    }

    #[test]
    fn a_value_that_cannot_be_a_credential_counts_as_missing() {
        let read = |secret: &str| {
            let body = serde_json::json!({ "clientId": "c1", "clientSecret": secret });
            decode_client(body.to_string().as_bytes()).unwrap()
        };
        let longest = "x".repeat(MAX_CLIENT_SECRET);
        for possible in ["s", "a b", "\"'\\", "ümlaut", &longest] {
            let secret = read(possible).client_secret.unwrap();
            assert_eq!(secret.expose_secret(), possible);
        }
        let too_long = "x".repeat(MAX_CLIENT_SECRET + 1);
        for impossible in ["", "  ", "a\nb", "a\u{0}", "\u{7f}", "\u{85}", &too_long] {
            assert!(read(impossible).client_secret.is_none(), "{impossible:?}");
        }
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
