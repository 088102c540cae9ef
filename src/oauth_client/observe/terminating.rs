//! Whether what an object depends on is being deleted: its CRD, its namespace.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt};
use provident_core::api::OAuthClient;
use tracing::warn;

use crate::cluster;
use crate::context::Context;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;

/// Whether the CRD of `OAuthClient` is being deleted, and every object with it. No client is deactivated then, because
/// nobody meant to deactivate them all. Read uncached. An installation without the right to read CRDs cannot know.
pub(crate) async fn crd_is_terminating(ctx: &Context) -> Result<bool, Abort> {
    let all: Api<CustomResourceDefinition> = Api::all(ctx.client.clone());
    let name = OAuthClient::crd_name();
    let terminating = cluster::is_terminating(&all, name).await;
    let terminating = terminating.map_err(Abort::Api)?;
    if terminating.is_none() {
        ctx.crd_unreadable.call_once(|| {
            warn!(
                name,
                "Not allowed to read the CustomResourceDefinition. If it is deleted, the operator deactivates all clients"
            );
        });
    }
    Ok(terminating.unwrap_or(false))
}

/// Whether the object's namespace is being deleted. An installation without the right to read namespaces cannot know.
pub(crate) async fn namespace_is_terminating(held: &Held) -> Result<bool, Abort> {
    let all: Api<Namespace> = Api::all(held.ctx.client.clone());
    let terminating = cluster::is_terminating(&all, &held.namespace()).await;
    Ok(terminating.map_err(Abort::Api)?.unwrap_or(false))
}
