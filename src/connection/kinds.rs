//! The two kinds of connection, as one.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, CustomResourceExt, Resource};
use serde::de::DeserializeOwned;

use crate::cluster::LenientObject;
use crate::state::connection_key::ConnectionKey;
use provident_core::api::{
    AccessRule, ClusterProvidentConnection, ConnectionKind, ConnectionSpec, ConnectionStatus,
    ProvidentConnection,
};

/// What is the same of both kinds, and where they differ.
pub trait AnyConnection:
    Resource<DynamicType = ()>
    + CustomResourceExt
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// The kind.
    const KIND: ConnectionKind;

    /// The account.
    fn account(&self) -> &ConnectionSpec;

    /// Its access rules; `None` for a kind that has none, since it serves its own namespace only.
    fn access(&self) -> Option<&[AccessRule]>;

    /// Its status.
    fn status(&self) -> Option<&ConnectionStatus>;

    /// Where objects of this kind are: in `namespace`, or everywhere.
    fn api(client: Client, namespace: Option<&str>) -> Api<Self>;

    /// The same for a watch that tolerates objects that cannot be decoded.
    fn lenient_api(client: Client, namespace: Option<&str>) -> Api<LenientObject<Self>>;

    /// Which one it is.
    fn key(&self) -> ConnectionKey {
        Self::key_of(self.meta())
    }

    /// Which one has this metadata.
    #[must_use]
    fn key_of(meta: &ObjectMeta) -> ConnectionKey {
        ConnectionKey {
            kind: Self::KIND,
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl AnyConnection for ClusterProvidentConnection {
    const KIND: ConnectionKind = ConnectionKind::ClusterProvidentConnection;

    fn account(&self) -> &ConnectionSpec {
        &self.spec.connection
    }

    fn access(&self) -> Option<&[AccessRule]> {
        Some(&self.spec.access)
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    fn api(client: Client, _: Option<&str>) -> Api<Self> {
        Api::all(client)
    }

    fn lenient_api(client: Client, _: Option<&str>) -> Api<LenientObject<Self>> {
        Api::all(client)
    }
}

impl AnyConnection for ProvidentConnection {
    const KIND: ConnectionKind = ConnectionKind::ProvidentConnection;

    fn account(&self) -> &ConnectionSpec {
        &self.spec.connection
    }

    fn access(&self) -> Option<&[AccessRule]> {
        None
    }

    fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    fn api(client: Client, namespace: Option<&str>) -> Api<Self> {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    fn lenient_api(client: Client, namespace: Option<&str>) -> Api<LenientObject<Self>> {
        match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }
}
