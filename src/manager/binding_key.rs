//! The binding key: an immutable Secret beside the operator, made once, and written back if it is deleted while the operator runs.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tracing::info;

use crate::cluster::{self, is_already_exists};
use crate::context::Context;
use provident_core::api::{MANAGED_LABEL, MANAGER};
use provident_core::binding::{BindingKey, KEY_BYTES};
use provident_core::secret::OPAQUE;

/// Maximum number of objects named in a message.
const SHOWN: usize = 5;
/// The key in its Secret's `data`.
const KEY: &str = "key";

/// Why the key is not at hand.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The API server did not let us read or make it.
    #[error("Secret {name} with the binding key: {}", cluster::describe(.source))]
    Cluster {
        /// Name of the Secret.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The Secret holds something else.
    #[error("Secret {0} must hold {KEY_BYTES} bytes under \"{KEY}\". Restore it from the backup")]
    Malformed(String),
    /// The system's random source failed.
    #[error("the system's random source failed")]
    Random,
}

/// The key as it was found or made.
pub enum Found {
    /// It is missing while these objects carry bindings made with it.
    Missing(Vec<String>),
    /// It is there; with the bytes of its Secret.
    Key(Box<BindingKey>, ByteString),
}

/// Reads the key, and creates it if it is missing and no object carries a binding. `bound` lists those objects; it is called only
/// if the key is missing.
///
/// # Errors
/// See [`KeyError`]; the caller retries.
pub async fn load(
    client: &Client,
    namespace: &str,
    name: &str,
    bound: impl FnOnce() -> Vec<String>,
) -> Result<Found, KeyError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| KeyError::Cluster {
        name: name.to_owned(),
        source: Box::new(source),
    };
    if let Some(secret) = api.get_opt(name).await.map_err(failed)? {
        return parse(name, &secret);
    }
    let bound = bound();
    if !bound.is_empty() {
        return Ok(Found::Missing(bound));
    }
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    let secret = key_secret(name, ByteString(bytes.to_vec()));
    match api.create(&PostParams::default(), &secret).await {
        Ok(created) => {
            info!(
                secret = name,
                namespace, "Created the binding key. Include its Secret in backups"
            );
            parse(name, &created)
        }
        // Two first starts at once: the other's key is the key.
        Err(error) if is_already_exists(&error) => {
            parse(name, &api.get(name).await.map_err(failed)?)
        }
        Err(error) => Err(failed(error)),
    }
}

fn key_secret(name: &str, bytes: ByteString) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            // Not the label of generated Secrets: this one is nobody's to repair.
            labels: Some(BTreeMap::from([(
                "app.kubernetes.io/part-of".to_owned(),
                MANAGER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some(OPAQUE.to_owned()),
        data: Some(BTreeMap::from([(KEY.to_owned(), bytes)])),
        ..Secret::default()
    }
}

fn parse(name: &str, secret: &Secret) -> Result<Found, KeyError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
    let key = bytes.and_then(|bytes| BindingKey::new(&bytes.0));
    match (key, bytes) {
        (Some(key), Some(bytes)) => Ok(Found::Key(Box::new(key), bytes.clone())),
        _ => Err(KeyError::Malformed(name.to_owned())),
    }
}

/// What has become of the key's Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is there and unchanged.
    Present,
    /// It was deleted, and has been written back.
    Restored,
    /// It was deleted, and the API server refused to let us write it back, with this status.
    Refused(u16),
    /// It holds something else.
    Replaced,
}

/// Checks that the key's Secret still holds `bytes`, and writes it back if it was deleted.
///
/// # Errors
/// The API server did not answer, so nothing is known.
pub async fn check(
    client: &Client,
    namespace: &str,
    name: &str,
    bytes: &ByteString,
) -> Result<Check, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if let Some(secret) = api.get_opt(name).await? {
        let found = secret.data.as_ref().and_then(|data| data.get(KEY));
        return Ok(if found == Some(bytes) {
            Check::Present
        } else {
            Check::Replaced
        });
    }
    let secret = key_secret(name, bytes.clone());
    match api.create(&PostParams::default(), &secret).await {
        Ok(_) => Ok(Check::Restored),
        Err(error) => match cluster::refusal(&error) {
            Some(status) => Ok(Check::Refused(status)),
            None => Err(error),
        },
    }
}

/// The label selector of generated Secrets.
#[must_use]
pub fn managed_selector() -> String {
    format!("{MANAGED_LABEL}={MANAGER}")
}

/// The watched objects whose status records a client or a binding, as `namespace/name`. Secrets do not count: whoever may write
/// one could plant a binding and keep a new installation from making its key.
#[must_use]
pub fn bound_objects(ctx: &Context) -> Vec<String> {
    let objects = ctx.stores.iter().flat_map(|stores| stores.clients.state());
    let mut names: Vec<String> = objects
        .filter(|object| {
            let status = object.status.as_ref();
            status.is_some_and(|status| status.binding_mac.is_some() || status.client_id.is_some())
        })
        .map(|object| {
            let namespace = object.namespace().unwrap_or_default();
            format!("{namespace}/{}", object.name_any())
        })
        .collect();
    names.sort();
    names
}

/// What is wrong, for people, while the key is missing and these objects carry bindings.
#[must_use]
pub fn missing_message(namespace: &str, name: &str, bound: &[String]) -> String {
    let shown = bound.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let more = match bound.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "Secret {name} with the binding key is missing in namespace {namespace}, and the status of these OAuthClients records clients \
         that were bound with it: {}{more}. Restore that Secret from the backup. Without a backup, delete these OAuthClients with \
         deletionPolicy: Retain, and the operator makes a new key",
        shown.join(", ")
    )
}
