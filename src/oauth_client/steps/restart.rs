//! Restarting the workloads that use a Secret, once for each change of its content.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::api::Patch;
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::cluster;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::Pass;
use crate::reconcile::patch_params;
use provident_core::api::{RESTART_PREFIX, Reason, RestartTarget, RestartTargetKind};

impl Pass {
    /// The number that the Secret's content has if it differs from the recorded one.
    pub fn next_revision(&self) -> i64 {
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_revision);
        recorded.unwrap_or_default() + 1
    }

    /// Whether workloads run with a content that is another by now. Of an object without a recorded content, such as a
    /// restored one, nothing is known, so nobody is restarted.
    pub fn must_restart(&self) -> bool {
        let has_targets = self
            .object
            .spec
            .rollout_restart_targets
            .as_ref()
            .is_some_and(|targets| !targets.is_empty());
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_hash.as_deref());
        has_targets
            && recorded
                .is_some_and(|recorded| self.digest().is_some_and(|digest| digest != recorded))
    }

    /// Restarts the workloads that use the Secret, in the order of the spec, as `kubectl rollout restart` does: the pod
    /// template's annotation becomes the Secret's revision, so that equal content restarts nobody.
    pub async fn restart_workloads(&mut self) -> Result<(), Abort> {
        let targets = self
            .object
            .spec
            .rollout_restart_targets
            .clone()
            .unwrap_or_default();
        let uid = self.object.uid().unwrap_or_default();
        let annotation = format!("{RESTART_PREFIX}{uid}");
        let revision = self.next_revision().to_string();
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": {
            annotation: revision,
        }}}}});
        for target in targets {
            let what = format!("{} {}", target.kind.as_str(), target.name);
            match self.patch_workload(&target, &patch).await {
                Ok(()) => {
                    let note = format!(
                        "Restarting {what} for revision {revision} of the Secret {}",
                        self.object.secret_name()
                    );
                    info!(workload = what, revision, "restarting");
                    self.event(false, Reason::Available, &note).await;
                }
                Err(error)
                    if cluster::is_not_found(&error) || cluster::refusal(&error).is_some() =>
                {
                    let note = format!(
                        "spec.rolloutRestartTargets: {what} was not restarted: {}. Restart it by hand; if it is there, let the \
                         operator patch it (chart value rolloutRestart.enabled)",
                        cluster::message(&error)
                    );
                    warn!(
                        workload = what,
                        error = cluster::describe(&error),
                        "Failed to restart a workload"
                    );
                    self.event(true, Reason::RestartDenied, &note).await;
                }
                Err(error) => return Err(Abort::Api(error)),
            }
        }
        self.restarted = true;
        self.facts.restart = false;
        Ok(())
    }

    async fn patch_workload(
        &self,
        target: &RestartTarget,
        patch: &Value,
    ) -> Result<(), kube::Error> {
        async fn of<K>(api: Api<K>, name: &str, patch: &Value) -> Result<(), kube::Error>
        where
            K: Clone + Debug + DeserializeOwned,
        {
            // Its metadata is all that comes back: a pod template may hold anything.
            let patched = api
                .patch_metadata(name, &patch_params(), &Patch::Strategic(patch))
                .await;
            patched.map(|_| ())
        }
        let (client, namespace) = (self.ctx.client.clone(), self.namespace());
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
}
