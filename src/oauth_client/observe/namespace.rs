//! The uid of an object's namespace, which its binding covers.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};
use provident_core::api::OAuthClient;
use tracing::warn;

use crate::cluster;
use crate::context::Context;
use crate::oauth_client::Abort;

/// The uid of the object's namespace, read once per namespace and then for objects that appear later. `None` without the right
/// to read the namespace.
pub(super) async fn namespace_uid(
    ctx: &Context,
    object: &OAuthClient,
) -> Result<Option<Arc<str>>, Abort> {
    let object_uid = object.uid().unwrap_or_default();
    if let Some(known) = ctx.state.namespace_uids.get(&object_uid) {
        return Ok(known);
    }
    let name = object.namespace().unwrap_or_default();
    // An object dies before its namespace does, so what is read now holds for every object that is there already.
    let present = ctx.object_uids(&name);
    let all: Api<Namespace> = Api::all(ctx.client.clone());
    let read: Option<Arc<str>> = match all.get_metadata(&name).await {
        Ok(namespace) => namespace.uid().map(Arc::from),
        Err(error) if cluster::is_not_found(&error) => return Err(Abort::ObjectGone),
        Err(error) if cluster::refusal(&error).is_some() => {
            ctx.namespaces_unreadable.call_once(|| {
                warn!(
                    namespace = name,
                    "Not allowed to read namespaces. Bindings name them without their uid, so a later namespace of the same name may \
                     take up the clients of a former one"
                );
            });
            None
        }
        Err(error) => return Err(Abort::Api(error)),
    };
    let objects = present.into_iter().chain([object_uid]);
    ctx.state.namespace_uids.set(objects, read.as_ref());
    Ok(read)
}
