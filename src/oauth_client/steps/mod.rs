//! Carries out one step, and notes what is known then.

mod adopt;
pub mod create;
mod restart;
pub mod rotate;
mod secret;
mod vendor;

use kube::api::Patch;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tracing::info;

use crate::cluster;
use crate::cluster::events::publish;
use crate::oauth_client::Abort;
use crate::oauth_client::observe::Pass;
use crate::reconcile::patch_params;
use provident_core::api::{ConditionStatus, FINALIZER, OAuthClient, Reason};
use provident_core::plan::{self, Blocked, Requeue, Step};

impl Pass {
    /// The one match over all steps.
    pub async fn act(&mut self, step: Step) -> Result<(), Abort> {
        match step {
            Step::Preflight => self.preflight().await,
            Step::AddFinalizer => self.add_finalizer().await,
            Step::Claim { retry_of } => self.claim(retry_of).await,
            Step::Create => self.create().await,
            Step::Adopt(id) => self.adopt(&id).await,
            Step::Verify(id) => self.verify(&id).await,
            Step::Update(id, fields) => self.update(&id, &fields).await,
            Step::WriteSecret(id) => self.write_secret(&id).await,
            Step::RestartWorkloads => self.restart_workloads().await,
            Step::RecordRotation(token) => self.record_rotation(token).await,
            Step::Rotate(id) => self.rotate(&id).await,
            Step::Deactivate(id) => self.deactivate(&id).await,
            Step::DisownSecret => self.disown_secret().await,
            Step::Release => self.release().await,
        }
    }

    pub async fn add_finalizer(&mut self) -> Result<(), Abort> {
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        self.write_finalizers(finalizers).await?;
        self.facts.finalizer = true;
        Ok(())
    }

    pub async fn release(&mut self) -> Result<(), Abort> {
        if plan::is_held(&self.facts)
            && let Some(attempt) = &self.facts.attempt
        {
            let note = format!(
                "Released with create attempt {} unresolved: a client named \"{}\" may exist at the vendor",
                attempt.id,
                self.object.vendor_name()
            );
            self.event(true, Reason::CreateOutcomeUnknown, &note).await;
        }
        if let Some(client_id) = plan::client(&self.facts) {
            info!(%client_id, policy = ?self.object.spec.deletion_policy, "released");
        }
        let finalizers = self
            .object
            .finalizers()
            .iter()
            .filter(|f| *f != FINALIZER)
            .cloned()
            .collect();
        let uid = self.object.uid().unwrap_or_default();
        // Before the write: the watch may tell of the end first.
        self.ctx.memory.release(&uid);
        match self.write_finalizers(finalizers).await {
            Ok(()) | Err(Abort::ObjectGone) => {}
            Err(halt) => return Err(halt),
        }
        self.ctx.memory.forget_object(&uid);
        Ok(())
    }

    // With resourceVersion, so that a finalizer is never set or taken away on a stale view.
    pub async fn write_finalizers(&mut self, finalizers: Vec<String>) -> Result<(), Abort> {
        let patch = json!({ "metadata": {
            "resourceVersion": self.object.resource_version(),
            "finalizers": finalizers,
        }});
        let api = self.ctx.objects(&self.namespace());
        let written = api
            .patch(
                &self.object.name_any(),
                &patch_params(),
                &Patch::Merge(&patch),
            )
            .await;
        self.wrote(written.map_err(stale_or)?);
        Ok(())
    }

    /// Merges into status, with the resourceVersion of the view that it was computed from.
    pub async fn patch_status(&mut self, status: Value) -> Result<(), Abort> {
        let patch = json!({
            "metadata": { "resourceVersion": self.object.resource_version() },
            "status": status,
        });
        let api = self.ctx.objects(&self.namespace());
        let written = api
            .patch_status(
                &self.object.name_any(),
                &patch_params(),
                &Patch::Merge(&patch),
            )
            .await;
        self.wrote(written.map_err(stale_or)?);
        Ok(())
    }

    /// Takes over what a write of our own made of the object. The watch may show what it replaced a while yet.
    pub fn wrote(&mut self, written: OAuthClient) {
        let uid = written.uid().unwrap_or_default();
        if let Some(before) = self.object.resource_version()
            && written.resource_version().as_ref() != Some(&before)
        {
            self.ctx.memory.replaced(&uid, &before);
        }
        self.object = written;
    }

    /// Nobody may have changed the spec, such as its policy to `Retain`, since the view was taken.
    pub async fn unchanged(&self) -> Result<(), Abort> {
        let live = self.live().await?;
        let same = live.metadata.generation == self.object.metadata.generation;
        same.then_some(()).ok_or(Abort::StaleView)
    }

    /// The object as it is now, if it is still the one in view.
    pub async fn live(&self) -> Result<OAuthClient, Abort> {
        let api = self.ctx.objects(&self.namespace());
        let live = api.get(&self.object.name_any()).await.map_err(stale_or)?;
        (live.uid() == self.object.uid())
            .then_some(live)
            .ok_or(Abort::StaleView)
    }

    /// Publishes an event about the object.
    pub async fn event(&self, bad: bool, reason: Reason, note: &str) {
        publish(&self.ctx, &self.object.object_ref(&()), bad, reason, note).await;
    }

    pub fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }
}

/// A stop that is told in status.
pub(crate) fn stop(reason: Reason, message: impl Into<String>, retry: Requeue) -> Abort {
    Abort::Blocked(Blocked {
        ready: ConditionStatus::False,
        reason,
        message: message.into(),
        retry,
    })
}

/// A refused write: the view was stale, the object is gone, or the API server is in trouble.
pub(crate) fn stale_or(error: kube::Error) -> Abort {
    if cluster::is_conflict(&error) {
        Abort::StaleView
    } else if cluster::is_not_found(&error) {
        Abort::ObjectGone
    } else {
        Abort::Api(error)
    }
}
