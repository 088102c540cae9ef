//! The binding: proof that a clientId was recorded for this very object by this operator. Pure.
//!
//! A clientId is a capability, since GET by clientId answers the secret. One that a tenant wrote into status, or onto a
//! Secret, must never be used in a call; the keyed hash tells the difference.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_lc_rs::{constant_time, hmac};
use k8s_openapi::ByteString;
use secrecy::{ExposeSecret, SecretString};

use crate::api::{ConnectionKind, ConnectionRef};
use crate::vendor::types::ClientId;

/// Bytes of a binding key.
pub const KEY_BYTES: usize = 32;

/// The installation's key. It lives in an immutable Secret beside the operator and belongs in the backup.
#[derive(Clone)]
pub struct BindingKey(hmac::Key);

/// What a binding covers besides the clientId. Not the uid, so that a client that is restored from a backup, or declared
/// again after `Retain`, is taken up again.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// Connection the client lives behind.
    pub connection: &'a ConnectionRef,
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
}

impl BindingKey {
    /// Takes a key of [`KEY_BYTES`] bytes; `None` for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The binding of `client_id` to `to`: 64 hexadecimal digits.
    #[must_use]
    pub fn mac(&self, to: Bound<'_>, client_id: &ClientId) -> String {
        let namespace = match to.connection.kind {
            ConnectionKind::ClusterProvidentConnection => "",
            ConnectionKind::ProvidentConnection => to.namespace,
        };
        self.tagged(&[
            "provident/binding/v1",
            to.connection.kind.as_str(),
            namespace,
            &to.connection.name,
            to.namespace,
            to.name,
            client_id.as_str(),
        ])
    }

    /// Whether `mac` binds `client_id` to `to`; compared in constant time.
    #[must_use]
    pub fn verifies(&self, to: Bound<'_>, client_id: &ClientId, mac: &str) -> bool {
        constant_time::verify_slices_are_equal(self.mac(to, client_id).as_bytes(), mac.as_bytes())
            .is_ok()
    }

    /// A fingerprint of a connection's URL and the parts of its credential that reveals neither.
    #[must_use]
    pub fn fingerprint(&self, base_url: &str, credential: &[&str]) -> String {
        self.tagged(&[&["provident/credential/v1", base_url], credential].concat())
    }

    /// A hash of a client's secret, to tell whether it has changed, that reveals nothing about it.
    #[must_use]
    pub fn secret_hash(&self, client_id: &ClientId, secret: &SecretString) -> String {
        self.tagged(&[
            "provident/secret/v1",
            client_id.as_str(),
            secret.expose_secret(),
        ])
    }

    /// A hash of a Secret's content, likewise.
    #[must_use]
    pub fn digest(&self, content: &BTreeMap<String, ByteString>) -> String {
        let mut signing = hmac::Context::with_key(&self.0);
        signing.update(b"provident/content/v1\0");
        for (key, ByteString(value)) in content {
            // A key has no NUL; a value may, so its length goes before it.
            signing.update(key.as_bytes());
            signing.update(format!("\0{}\0", value.len()).as_bytes());
            signing.update(value);
        }
        hex(signing.sign().as_ref())
    }

    // NUL separates: none of the parts but the last can contain it; those of a credential are printable ASCII.
    fn tagged(&self, parts: &[&str]) -> String {
        hex(hmac::sign(&self.0, parts.join("\0").as_bytes()).as_ref())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(kind: ConnectionKind, name: &str) -> ConnectionRef {
        ConnectionRef {
            kind,
            name: name.to_owned(),
        }
    }

    #[test]
    fn s08_a_binding_holds_for_one_client_of_one_object_behind_one_connection() {
        let key = BindingKey::new(&[7; KEY_BYTES]).unwrap();
        let id = ClientId::parse("c1").unwrap();
        let cluster = connection(ConnectionKind::ClusterProvidentConnection, "default");
        let to = Bound {
            connection: &cluster,
            namespace: "shop",
            name: "storefront",
        };
        let mac = key.mac(to, &id);
        assert!(key.verifies(to, &id, &mac));

        let other_kind = connection(ConnectionKind::ProvidentConnection, "default");
        let other_name = connection(ConnectionKind::ClusterProvidentConnection, "second");
        for forged in [
            Bound {
                connection: &other_kind,
                ..to
            },
            Bound {
                connection: &other_name,
                ..to
            },
            Bound {
                namespace: "bank",
                ..to
            },
            Bound {
                name: "admin",
                ..to
            },
            Bound {
                namespace: "shopstore",
                name: "front",
                ..to
            },
        ] {
            assert!(!key.verifies(forged, &id, &mac));
        }
        assert!(!key.verifies(to, &ClientId::parse("c2").unwrap(), &mac));
        assert!(!key.verifies(to, &id, ""));
        let other_key = BindingKey::new(&[8; KEY_BYTES]).unwrap();
        assert!(!other_key.verifies(to, &id, &mac));
    }

    #[test]
    fn a_digest_tells_every_change_of_content_and_only_those() {
        let key = BindingKey::new(&[7; KEY_BYTES]).unwrap();
        let content = |pairs: &[(&str, &str)]| {
            let pair = |(key, value): &(&str, &str)| {
                ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))
            };
            key.digest(&pairs.iter().map(pair).collect())
        };
        let digest = content(&[("a", "1"), ("b", "2")]);
        assert_eq!(digest, content(&[("b", "2"), ("a", "1")]));
        for other in [
            content(&[("a", "1"), ("b", "3")]),
            content(&[("a", "1")]),
            content(&[("a", "1\0b\x002\x002")]),
            content(&[("a", "2"), ("b", "1")]),
        ] {
            assert_ne!(digest, other);
        }
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        assert!(BindingKey::new(b"short").is_none());
    }
}
