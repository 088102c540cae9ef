//! The key of a connection, and the texts that name it.

use std::fmt;

use kube::CustomResourceExt;
use provident_core::api::{
    ClusterProvidentConnection, ConnectionKind, ConnectionRef, OAuthClient, ProvidentConnection,
    Reason,
};

/// Identifies a connection of either kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// Its kind.
    pub kind: ConnectionKind,
    /// Its namespace; empty for a cluster connection.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ConnectionKey {
    /// What `reference` means in an object of `namespace`.
    #[must_use]
    pub fn new(reference: &ConnectionRef, namespace: &str) -> Self {
        let namespace = match reference.kind {
            ConnectionKind::ClusterProvidentConnection => "",
            ConnectionKind::ProvidentConnection => namespace,
        };
        Self {
            kind: reference.kind,
            namespace: namespace.to_owned(),
            name: reference.name.clone(),
        }
    }

    /// The connection that a client names.
    #[must_use]
    pub fn of(object: &OAuthClient) -> Self {
        Self::new(
            &object.spec.connection_ref,
            object.metadata.namespace.as_deref().unwrap_or_default(),
        )
    }

    /// Whether a client names this connection.
    #[must_use]
    pub fn is_of(&self, object: &OAuthClient) -> bool {
        let there = self.namespace.is_empty()
            || object.metadata.namespace.as_ref() == Some(&self.namespace);
        let reference = &object.spec.connection_ref;
        there && reference.kind == self.kind && reference.name == self.name
    }

    /// The message of its clients' conditions while the vendor refuses its credential.
    #[must_use]
    pub fn refused(&self) -> String {
        format!(
            "The vendor refuses the token or the client credentials of connection {self}. Put valid ones into its Secret; see {}",
            self.command()
        )
    }

    /// The message for its clients while it cannot be used.
    #[must_use]
    pub fn not_ready(&self, reason: Reason) -> String {
        format!(
            "Connection {self} cannot be used now ({reason}); see {}",
            self.command()
        )
    }

    /// The command that shows it.
    #[must_use]
    pub fn command(&self) -> String {
        format!("kubectl describe {}", self.kubectl_target())
    }

    /// The resource, the name and, if it has one, the namespace, as kubectl takes them.
    #[must_use]
    pub fn kubectl_target(&self) -> String {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        match kind {
            ConnectionKind::ClusterProvidentConnection => {
                format!("{} {name}", ClusterProvidentConnection::crd_name())
            }
            ConnectionKind::ProvidentConnection => {
                format!("{} {name} -n {namespace}", ProvidentConnection::crd_name())
            }
        }
    }
}

impl fmt::Display for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ConnectionKind::ClusterProvidentConnection => f.write_str(&self.name),
            ConnectionKind::ProvidentConnection => write!(f, "{}/{}", self.namespace, self.name),
        }
    }
}
