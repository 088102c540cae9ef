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

/// What a binding covers besides the clientId. Not the object's uid, so that a client that is restored from a backup, or
/// declared again after `Retain`, is taken up again.
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// Connection the client lives behind.
    pub connection: &'a ConnectionRef,
    /// Namespace of the object.
    pub namespace: &'a str,
    /// The namespace's uid, so that a later namespace of the same name inherits nothing. `None` if it cannot be read: the
    /// binding then covers the namespace's name alone.
    pub namespace_uid: Option<&'a str>,
    /// Name of the object.
    pub name: &'a str,
}

/// What checking a binding has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It was not made with this key for this object and client.
    Invalid,
    /// It was made for this object and client.
    Valid,
    /// It was made for this object and client in a namespace of the same name with another uid: this one was restored, or
    /// belongs to another tenant by now. Knowledge of the client's secret tells the two apart.
    FormerNamespace,
}

impl BindingKey {
    /// Takes a key of [`KEY_BYTES`] bytes; `None` for any other length.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The binding of `client_id` to `to`: the namespace's uid and a dot, if the uid is known, then 64 hexadecimal digits.
    #[must_use]
    pub fn mac(&self, to: Bound<'_>, client_id: &ClientId) -> String {
        let mac = self.hex_mac(to, client_id);
        match to.namespace_uid {
            Some(uid) => format!("{uid}.{mac}"),
            None => mac,
        }
    }

    /// Whether `mac` binds `client_id` to `to`; compared in constant time. Without a namespace uid on one of the two sides the
    /// namespace's name decides.
    #[must_use]
    pub fn verify(&self, to: Bound<'_>, client_id: &ClientId, mac: &str) -> Verification {
        let (recorded_uid, mac) = match mac.split_once('.') {
            Some((uid, mac)) => (Some(uid), mac),
            None => (None, mac),
        };
        let recorded = Bound {
            namespace_uid: recorded_uid,
            ..to
        };
        let expected = self.hex_mac(recorded, client_id);
        if constant_time::verify_slices_are_equal(expected.as_bytes(), mac.as_bytes()).is_err() {
            return Verification::Invalid;
        }
        match (recorded_uid, to.namespace_uid) {
            (Some(recorded), Some(now)) if recorded != now => Verification::FormerNamespace,
            _ => Verification::Valid,
        }
    }

    fn hex_mac(&self, to: Bound<'_>, client_id: &ClientId) -> String {
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
            to.namespace_uid.unwrap_or_default(),
            to.name,
            client_id.as_str(),
        ])
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

/// Lower-case hexadecimal digits, two for each byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
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
            namespace_uid: None,
            name: "storefront",
        };
        let mac = key.mac(to, &id);
        assert_eq!(key.verify(to, &id, &mac), Verification::Valid);

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
            assert_eq!(key.verify(forged, &id, &mac), Verification::Invalid);
        }
        let other_id = ClientId::parse("c2").unwrap();
        assert_eq!(key.verify(to, &other_id, &mac), Verification::Invalid);
        assert_eq!(key.verify(to, &id, ""), Verification::Invalid);
        let other_key = BindingKey::new(&[8; KEY_BYTES]).unwrap();
        assert_eq!(other_key.verify(to, &id, &mac), Verification::Invalid);
    }

    #[test]
    fn a_binding_names_the_namespace_by_its_uid_where_that_is_known() {
        let key = BindingKey::new(&[7; KEY_BYTES]).unwrap();
        let id = ClientId::parse("c1").unwrap();
        let connection = connection(ConnectionKind::ClusterProvidentConnection, "default");
        let within = |namespace_uid| Bound {
            connection: &connection,
            namespace: "shop",
            namespace_uid,
            name: "storefront",
        };
        let (first, second) = (within(Some("uid-1")), within(Some("uid-2")));
        let mac = key.mac(first, &id);
        assert_eq!(key.verify(first, &id, &mac), Verification::Valid);
        assert_eq!(key.verify(second, &id, &mac), Verification::FormerNamespace);
        // Whoever cannot read namespaces still recognises it, and leaves a binding that the others recognise.
        assert_eq!(key.verify(within(None), &id, &mac), Verification::Valid);
        let unnamed = key.mac(within(None), &id);
        assert_eq!(key.verify(first, &id, &unnamed), Verification::Valid);
        // The uid in front is part of what is signed.
        let hex = mac.split_once('.').unwrap().1;
        for forged in [format!("uid-2.{hex}"), format!(".{hex}"), hex.to_owned()] {
            for to in [first, second, within(None)] {
                assert_eq!(key.verify(to, &id, &forged), Verification::Invalid);
            }
        }
        // An empty uid in front is the binding without a uid, in another notation.
        let dotted = format!(".{unnamed}");
        assert_ne!(key.verify(first, &id, &dotted), Verification::Valid);
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
