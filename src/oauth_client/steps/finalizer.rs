//! The steps that set and remove the finalizer.

use kube::ResourceExt;
use kube::api::Patch;
use provident_core::api::{EventReason, FINALIZER};
use provident_core::plan::{self, Facts, Observation};
use serde_json::json;
use tracing::info;

use crate::oauth_client::Abort;
use crate::oauth_client::held::{Held, abort_for};
use crate::reconcile::patch_params;

pub(crate) async fn add(held: &mut Held) -> Result<Observation, Abort> {
    let mut finalizers = held.object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    write(held, finalizers).await?;
    Ok(Observation::FinalizerAdded)
}

pub(crate) async fn release(facts: &Facts, held: &mut Held) -> Result<Observation, Abort> {
    if plan::is_held(facts)
        && let Some(attempt) = &facts.attempt
    {
        let note = format!(
            "Released although the outcome of create attempt {} is unknown: a client named {:?} may exist at the vendor",
            attempt.id,
            held.object.vendor_name()
        );
        held.event(EventReason::ClientReleased, &note).await;
    }
    if let Some(client_id) = plan::client(facts) {
        info!(%client_id, policy = ?held.object.spec.deletion_policy, "Released client");
    }
    let finalizers = held.object.finalizers().iter();
    let others = finalizers.filter(|f| *f != FINALIZER).cloned().collect();
    let uid = held.uid();
    // Before the write: the watch may report the deletion first.
    held.ctx.state.views.release(&uid);
    match write(held, others).await {
        Ok(()) | Err(Abort::ObjectGone) => {}
        Err(abort) => return Err(abort),
    }
    held.ctx.state.attempts.forget_object(&uid);
    Ok(Observation::Released)
}

// Guarded by resourceVersion, so that a stale view never sets or removes a finalizer.
async fn write(held: &mut Held, finalizers: Vec<String>) -> Result<(), Abort> {
    let patch = json!({ "metadata": {
        "resourceVersion": held.object.resource_version(),
        "finalizers": finalizers,
    }});
    let api = held.ctx.objects(&held.namespace());
    let written = api
        .patch(
            &held.object.name_any(),
            &patch_params(),
            &Patch::Merge(&patch),
        )
        .await;
    held.adopt_written(written.map_err(abort_for)?);
    Ok(())
}
