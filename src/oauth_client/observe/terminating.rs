//! What dies above an object: its definition, its namespace.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt};
use tracing::warn;

use crate::cluster;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::Pass;
use provident_core::api::OAuthClient;

impl Pass {
    /// Whether the definition of `OAuthClient` is being deleted, and every object with it: then no client is
    /// deactivated, since nobody meant them all. Read uncached. An install without the right to read it cannot tell.
    pub async fn definition_is_going(&self) -> Result<bool, Abort> {
        let all: Api<CustomResourceDefinition> = Api::all(self.ctx.client.clone());
        let name = OAuthClient::crd_name();
        match all.get_metadata(name).await {
            Ok(definition) => Ok(definition.metadata.deletion_timestamp.is_some()),
            Err(error) if cluster::is_not_found(&error) => Ok(true),
            Err(error) if cluster::refusal(&error).is_some() => {
                self.ctx.blind_to_definition.call_once(|| {
                    warn!(
                        name,
                        "no right to read the CustomResourceDefinition: should it be deleted, the clients of all objects are deactivated"
                    );
                });
                Ok(false)
            }
            Err(error) => Err(Abort::Api(error)),
        }
    }

    /// Whether the object's namespace is being deleted. Who may not read it cannot tell.
    pub async fn namespace_is_going(&self) -> Result<bool, Abort> {
        let all: Api<Namespace> = Api::all(self.ctx.client.clone());
        match all.get_metadata(&self.namespace()).await {
            Ok(namespace) => Ok(namespace.metadata.deletion_timestamp.is_some()),
            Err(error) if cluster::is_not_found(&error) => Ok(true),
            Err(error) if cluster::refusal(&error).is_some() => Ok(false),
            Err(error) => Err(Abort::Api(error)),
        }
    }
}
