//! One client, one object: who else has a client.

use kube::ResourceExt;
use kube::api::ListParams;

use super::connection::bound;
use super::observe::Pass;
use super::{Halt, SOON};
use crate::api::OAuthClient;
use crate::plan::{Record, Rival};
use crate::provident::types::ClientId;

/// Whether another object has a client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
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
        if let Record::Bound(id) = &self.seen.record {
            self.seen.rival = match self.elsewhere(id) {
                Elsewhere::Yes { older: true } => Rival::Older,
                Elsewhere::Yes { older: false } => Rival::Younger,
                Elsewhere::No | Elsewhere::Unclear => Rival::None,
            };
        }
    }

    /// Asked right before a deactivation, and of the API server: the watch may not show yet what another process, or an
    /// adoption that has just ended, has recorded. While an adoption of the client runs, it is not the time.
    pub async fn is_kept_elsewhere(&mut self, id: &ClientId) -> Result<bool, Halt> {
        let Some(guard) = self.ctx.names.take(format!("adopt/{id}")) else {
            return Err(Halt::Again(SOON));
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
            let others = api.list(&recorded).await.map_err(Halt::Cluster)?;
            if others.iter().any(keeps) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    // What is forged into a status does not count: only who is bound has the client.
    pub fn elsewhere(&self, id: &ClientId) -> Elsewhere {
        let uid = self.object.uid().unwrap_or_default();
        let Some(key) = &self.key else {
            return Elsewhere::Unclear;
        };
        let mut answer = Elsewhere::No;
        for other in self.ctx.recorded.others(id, &uid) {
            let Some(object) = self.ctx.object_of(&other) else {
                continue;
            };
            let status = object.status.as_ref();
            if status.and_then(|status| status.client_id.as_deref()) != Some(id.as_str()) {
                return Elsewhere::Unclear;
            }
            if bound(&object, key).is_some() {
                let age = |object: &OAuthClient| {
                    (
                        object.creation_timestamp(),
                        object.uid().unwrap_or_default(),
                    )
                };
                answer = Elsewhere::Yes {
                    older: age(&object) < age(&self.object),
                };
            }
        }
        answer
    }
}
