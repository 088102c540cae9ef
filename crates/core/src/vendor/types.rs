//! The vendor's shapes, as its API document gives them. Pure.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Serialize, Serializer};

pub use super::decode::{decode_client, error_code};
pub use super::field::{Field, FieldValue};

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

/// Body of a `POST` or `PUT` of a client: the fields to set. On create the vendor's default holds for the others; on
/// update they stay as they are.
#[derive(Clone, Debug, Default)]
pub struct ClientRequest<'a>(Vec<(Field, FieldValue<'a>)>);

impl<'a> FromIterator<(Field, FieldValue<'a>)> for ClientRequest<'a> {
    fn from_iter<T: IntoIterator<Item = (Field, FieldValue<'a>)>>(fields: T) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Serialize for ClientRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, value)| (field.as_str(), value)))
    }
}

/// The vendor's client, read leniently: the API document requires every field, but one that is missing, or of
/// another type, must not cost us the rest of an answer that cannot be had twice.
#[derive(Clone, Debug, Default)]
pub struct VendorClient {
    /// The client's public identifier, unchecked; see [`ClientId::parse`].
    pub client_id: Option<String>,
    /// The secret, if it can be one.
    pub client_secret: Option<SecretString>,
    /// When the vendor made it.
    pub created_at: Option<Timestamp>,
    /// The fields that the answer holds.
    pub fields: BTreeMap<Field, FieldValue<'static>>,
}

impl VendorClient {
    /// Whether the client can get tokens, if the answer says so.
    #[must_use]
    pub fn is_active(&self) -> Option<bool> {
        match self.fields.get(&Field::IsActive) {
            Some(FieldValue::Flag(active)) => Some(*active),
            _ => None,
        }
    }
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
