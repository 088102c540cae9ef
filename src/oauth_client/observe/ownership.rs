//! One client, one object: who else has a client.

use kube::ResourceExt;
use kube::api::ListParams;

use crate::connection::bound;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::{Abort, SOON};
use provident_core::api::OAuthClient;
use provident_core::plan::{Conflict, RecordedClient};
use provident_core::vendor::types::ClientId;

/// Whether another object has a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherHolder {
    No,
    /// Validly bound; an older object than this one, or a younger one.
    Yes {
        older: bool,
    },
    /// It was recorded a moment ago, and the watch does not show it yet.
    Unclear,
}

impl Pass {
    /// Another object may have been bound to the same client: by two adoptions at once, in two processes.
    pub fn observe_rival(&mut self) {
        if let RecordedClient::Bound(id) = &self.facts.record {
            self.facts.conflict = match self.elsewhere(id) {
                OtherHolder::Yes { older: true } => Conflict::WithOlder,
                OtherHolder::Yes { older: false } => Conflict::WithYounger,
                OtherHolder::No | OtherHolder::Unclear => Conflict::None,
            };
        }
    }

    /// Asked right before a deactivation, and of the API server: the watch may not show yet what another process, or an
    /// adoption that has just ended, has recorded. While an adoption of the client runs, it is not the time.
    pub async fn is_kept_elsewhere(&mut self, id: &ClientId) -> Result<bool, Abort> {
        let Some(guard) = self.ctx.names.take(format!("adopt/{id}")) else {
            return Err(Abort::Requeue(SOON));
        };
        self.name_guard = Some(guard);
        let uid = self.object.uid();
        let keeps = |other: &OAuthClient| {
            let bound = self.key.as_ref().and_then(|key| bound(other, key));
            other.uid() != uid
                && other.metadata.deletion_timestamp.is_none()
                && bound.as_ref() == Some(id)
        };
        let recorded = ListParams::default().fields(&format!("status.clientId={id}"));
        for api in self.ctx.watched() {
            let others = api.list(&recorded).await.map_err(Abort::Api)?;
            if others.iter().any(keeps) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    // What is forged into a status does not count: only who is bound has the client.
    pub fn elsewhere(&self, id: &ClientId) -> OtherHolder {
        let uid = self.object.uid().unwrap_or_default();
        let Some(key) = &self.key else {
            return OtherHolder::Unclear;
        };
        let mut answer = OtherHolder::No;
        for other in self.ctx.recorded.others(id, &uid) {
            let Some(object) = self.ctx.object_of(&other) else {
                continue;
            };
            let status = object.status.as_ref();
            if status.and_then(|status| status.client_id.as_deref()) != Some(id.as_str()) {
                return OtherHolder::Unclear;
            }
            if bound(&object, key).is_some() {
                let age = |object: &OAuthClient| {
                    (
                        object.creation_timestamp(),
                        object.uid().unwrap_or_default(),
                    )
                };
                answer = OtherHolder::Yes {
                    older: age(&object) < age(&self.object),
                };
            }
        }
        answer
    }
}
