//! Restarts the workloads that use a Secret, once for each change of its content.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::Api;
use kube::api::Patch;
use provident_core::api::{EventReason, RESTART_PREFIX, RestartTarget, RestartTargetKind};
use provident_core::plan::Observation;
use provident_core::vendor::types::ClientId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::cluster;
use crate::oauth_client::Abort;
use crate::oauth_client::held::Held;
use crate::reconcile::patch_params;

impl Held {
    /// The revision that the Secret's content gets if it differs from the recorded one.
    pub fn next_revision(&self) -> i64 {
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_revision);
        recorded.unwrap_or_default() + 1
    }

    /// Whether workloads run with outdated content. If no content is recorded, as for a restored object, nothing is known and
    /// nothing is restarted.
    pub fn must_restart(&self, id: &ClientId) -> bool {
        let targets = self.object.spec.rollout_restart_targets.as_ref();
        let has_targets = targets.is_some_and(|targets| !targets.is_empty());
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_hash.as_deref());
        let changed = |recorded: &str| self.content_hash(id).is_some_and(|hash| hash != recorded);
        has_targets && recorded.is_some_and(changed)
    }
}

/// Restarts the workloads that use the Secret, in the order of the spec, as `kubectl rollout restart` does: the pod
/// template's annotation becomes the Secret's revision, so that equal content restarts nothing.
pub(crate) async fn restart_workloads(held: &mut Held) -> Result<Observation, Abort> {
    let targets = held.object.spec.rollout_restart_targets.clone();
    let annotation = format!("{RESTART_PREFIX}{}", held.uid());
    let revision = held.next_revision().to_string();
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": {
        annotation: revision,
    }}}}});
    for target in targets.unwrap_or_default() {
        let what = format!("{} {}", target.kind.as_str(), target.name);
        match patch_workload(held, &target, &patch).await {
            Ok(()) => {
                let note = format!(
                    "Restarting {what} for revision {revision} of Secret {}",
                    held.object.secret_name()
                );
                info!(workload = what, revision, "Restarting workload");
                held.event(EventReason::WorkloadRestarted, &note).await;
            }
            Err(error) if cluster::is_not_found(&error) || cluster::refusal(&error).is_some() => {
                let note = format!(
                    "spec.rolloutRestartTargets: failed to restart {what}: {}. Restart it manually. If it exists, allow the operator \
                     to patch it (chart value rolloutRestart.enabled)",
                    cluster::message(&error)
                );
                warn!(
                    workload = what,
                    error = cluster::message(&error),
                    "Failed to restart workload"
                );
                held.event(EventReason::RestartDenied, &note).await;
            }
            Err(error) => return Err(Abort::Api(error)),
        }
    }
    held.restarted = true;
    Ok(Observation::WorkloadsRestarted)
}

async fn patch_workload(
    held: &Held,
    target: &RestartTarget,
    patch: &Value,
) -> Result<(), kube::Error> {
    async fn of<K>(api: Api<K>, name: &str, patch: &Value) -> Result<(), kube::Error>
    where
        K: Clone + Debug + DeserializeOwned,
    {
        // Only its metadata comes back: a pod template may hold anything.
        let (params, patch) = (patch_params(), Patch::Strategic(patch));
        api.patch_metadata(name, &params, &patch).await.map(|_| ())
    }
    let (client, namespace) = (held.ctx.client.clone(), held.namespace());
    let name = &target.name;
    match target.kind {
        RestartTargetKind::Deployment => {
            of::<Deployment>(Api::namespaced(client, &namespace), name, patch).await
        }
        RestartTargetKind::StatefulSet => {
            of::<StatefulSet>(Api::namespaced(client, &namespace), name, patch).await
        }
        RestartTargetKind::DaemonSet => {
            of::<DaemonSet>(Api::namespaced(client, &namespace), name, patch).await
        }
    }
}
