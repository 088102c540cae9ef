//! One client, one object: which other object has a client.

use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use provident_core::api::OAuthClient;
use provident_core::plan::{Conflict, RecordedClient};
use provident_core::vendor::types::ClientId;

use crate::cluster::LenientObject;
use crate::connection::bound;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;

/// Whether another object has a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtherHolder {
    No,
    /// Validly bound. `older` if at least one such object is older than this one.
    Yes {
        older: bool,
    },
    /// It was recorded a moment ago, and the watch does not show it yet.
    Unclear,
}

/// Another object may be bound to the same client, by two concurrent adoptions in two processes.
pub(crate) fn observe_conflict(held: &Held, record: &RecordedClient) -> Conflict {
    let RecordedClient::Bound(id) = record else {
        return Conflict::None;
    };
    match other_holder(held, id) {
        OtherHolder::Yes { older: true } => Conflict::WithOlder,
        OtherHolder::Yes { older: false } => Conflict::WithYounger,
        OtherHolder::No | OtherHolder::Unclear => Conflict::None,
    }
}

/// Which other object has the client. A clientId that somebody wrote into a status does not count: only a valid binding does.
pub(crate) fn other_holder(held: &Held, id: &ClientId) -> OtherHolder {
    let Some(key) = &held.key else {
        return OtherHolder::Unclear;
    };
    let age = |object: &OAuthClient| {
        (
            object.creation_timestamp(),
            object.uid().unwrap_or_default(),
        )
    };
    let mut found = OtherHolder::No;
    for uid in held.ctx.state.client_index.other_holders(id, &held.uid()) {
        let Some(object) = held.ctx.object_by_uid(&uid) else {
            continue;
        };
        let status = object.status.as_ref();
        if status.and_then(|status| status.client_id.as_deref()) != Some(id.as_str()) {
            return OtherHolder::Unclear;
        }
        if bound(&object, key).is_some() {
            let is_older = age(&object) < age(&held.object);
            let older = is_older || found == OtherHolder::Yes { older: true };
            found = OtherHolder::Yes { older };
        }
    }
    found
}

/// Whether another object that is not being deleted has the client. Asked of the API server right before a deactivation,
/// since the watch may not show yet what another process, or an adoption that has just ended, recorded. An adoption that is
/// under way makes this object wait.
pub(crate) async fn is_held_elsewhere(held: &mut Held, id: &ClientId) -> Result<bool, Abort> {
    held.take_lock(format!("adopt/{id}"))?;
    let uid = held.object.uid();
    // An object that cannot be decoded may hold the client: it keeps it.
    let holds = |other: &LenientObject<OAuthClient>| {
        let holds = match &other.0 {
            Ok(object) => {
                held.key
                    .as_ref()
                    .and_then(|key| bound(object, key))
                    .as_ref()
                    == Some(id)
            }
            Err(_) => true,
        };
        other.uid() != uid && other.meta().deletion_timestamp.is_none() && holds
    };
    let recorded = ListParams::default().fields(&format!("status.clientId={id}"));
    for api in held.ctx.watched() {
        let others = api.list(&recorded).await.map_err(Abort::Api)?;
        if others.iter().any(holds) {
            return Ok(true);
        }
    }
    Ok(false)
}
