//! Taking over a client that exists already.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// An existing client, and the proof that it is ours to take.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AdoptionSpec {
    /// The clientId of the client to take over.
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new(schema::IS_CLIENT_ID).message("must be a clientId: letters, digits, '-', '_', '.' and '~', not starting with '.' or '~'"))]
    pub client_id: String,
    /// Where its current secret is. Who knows it may take the client.
    pub secret_key_ref: ClientSecretRef,
}

/// A key of a Secret in the object's own namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecretRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
    /// The key in it that holds the client's secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_KEY).message(schema::KEY_MESSAGE))]
    pub key: String,
}
