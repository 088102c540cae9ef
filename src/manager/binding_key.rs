//! The binding key: an immutable Secret beside the operator, made once.

use std::collections::BTreeMap;

use aws_lc_rs::rand;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tracing::{error, info};

use crate::cluster::{self, is_already_exists};
use crate::context::Context;
use crate::state::binding_key::KeyState;
use provident_core::api::{MANAGED_LABEL, MANAGER, OAuthClient};
use provident_core::binding::{BindingKey, KEY_BYTES};
use provident_core::secret::SecretMetadata;

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

/// Reads the key, and makes it if it is not there and `first` says that no object carries a binding. It is not asked else.
///
/// # Errors
/// See [`KeyError`]; to be tried again.
pub async fn load(
    client: &Client,
    namespace: &str,
    name: &str,
    first: impl AsyncFnOnce() -> Result<bool, kube::Error>,
) -> Result<KeyState, KeyError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |source| KeyError::Cluster {
        name: name.to_owned(),
        source: Box::new(source),
    };
    if let Some(secret) = api.get_opt(name).await.map_err(failed)? {
        return parse(name, &secret);
    }
    if !first().await.map_err(failed)? {
        error!(
            secret = name,
            namespace,
            "Binding key is missing while objects carry bindings. Restore its Secret from the backup"
        );
        return Ok(KeyState::Missing);
    }
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    let secret = Secret {
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
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            ByteString(bytes.to_vec()),
        )])),
        ..Secret::default()
    };
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

fn parse(name: &str, secret: &Secret) -> Result<KeyState, KeyError> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(KEY));
    let key = bytes.and_then(|bytes| BindingKey::new(&bytes.0));
    key.map(|key| KeyState::Loaded(Box::new(key)))
        .ok_or_else(|| KeyError::Malformed(name.to_owned()))
}

/// The label selector of generated Secrets.
#[must_use]
pub fn managed_selector() -> String {
    format!("{MANAGED_LABEL}={MANAGER}")
}

/// Whether some watched object carries a binding, in status or on its Secret.
///
/// # Errors
/// The API server did not answer.
pub async fn some_binding(ctx: &Context) -> Result<bool, kube::Error> {
    let in_status = |object: &OAuthClient| {
        let status = object.status.as_ref();
        status.is_some_and(|status| status.binding_mac.is_some())
    };
    let told = ctx
        .stores
        .iter()
        .any(|stores| stores.clients.find(in_status).is_some() || stores.secrets.is_some_bound());
    if told || ctx.config.watch_secrets {
        return Ok(told);
    }
    // Restored without their status: their Secrets tell, read one by one, once in the life of an install.
    for object in ctx.stores.iter().flat_map(|stores| stores.clients.state()) {
        let secrets = ctx.secrets(&object.namespace().unwrap_or_default());
        let secret = secrets.get_metadata_opt(object.secret_name()).await?;
        if secret.is_some_and(|secret| SecretMetadata::of(&secret.metadata).is_bound()) {
            return Ok(true);
        }
    }
    Ok(false)
}
