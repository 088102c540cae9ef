//! What a Secret's metadata says of it: who controls it, and which client it holds for whom.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};

use crate::api::{BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, OAuthClient};
use crate::binding::{BindingKey, Bound, Verification};
use crate::plan::{Binding, Owner};
use crate::vendor::types::ClientId;

/// All of a Secret that decisions rest on, beside its content. It is small, since one is kept for every watched Secret.
#[derive(Debug, PartialEq, Eq)]
pub struct SecretMetadata {
    version: Box<str>,
    controller: Option<Controller>,
    client_id: Option<Box<str>>,
    mac: Option<Box<str>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Controller {
    uid: Box<str>,
    /// Its name, if it is an `OAuthClient`.
    client: Option<Box<str>>,
}

impl SecretMetadata {
    /// Reads them.
    #[must_use]
    pub fn of(meta: &ObjectMeta) -> Self {
        let owners = meta.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        let (kind, group) = (OAuthClient::kind(&()), OAuthClient::group(&()));
        let annotation = |name| {
            let all = meta.annotations.as_ref();
            all.and_then(|all| all.get(name))
                .map(|it| it.as_str().into())
        };
        Self {
            version: meta.resource_version.as_deref().unwrap_or_default().into(),
            controller: controller.map(|owner| Controller {
                uid: owner.uid.as_str().into(),
                client: (owner.kind == kind
                    && owner
                        .api_version
                        .split_once('/')
                        .is_some_and(|it| it.0 == group))
                .then(|| owner.name.as_str().into()),
            }),
            client_id: annotation(CLIENT_ID_ANNOTATION),
            mac: annotation(BINDING_ANNOTATION),
        }
    }

    /// The Secret's resourceVersion.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it carries a binding, ours or not.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.mac.is_some()
    }

    /// Who controls it, as seen from `object`.
    #[must_use]
    pub fn owner(&self, object: &OAuthClient) -> Owner {
        let Some(controller) = &self.controller else {
            return Owner::None;
        };
        if Some(&*controller.uid) == object.metadata.uid.as_deref() {
            Owner::This
        } else if controller.client.as_deref() == Some(&*object.name_any()) {
            Owner::Former
        } else {
            Owner::Other
        }
    }

    /// The binding that it carries.
    #[must_use]
    pub fn binding(&self, key: &BindingKey, to: Bound<'_>) -> Binding {
        let Some(mac) = &self.mac else {
            return Binding::Missing;
        };
        match self.client_id.as_deref().and_then(ClientId::parse) {
            Some(id) => match key.verify(to, &id, mac) {
                Verification::Valid => Binding::Valid(id),
                Verification::FormerNamespace => Binding::FormerNamespace(id),
                Verification::Invalid => Binding::Invalid,
            },
            None => Binding::Invalid,
        }
    }
}
