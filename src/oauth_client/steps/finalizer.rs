//! The steps that set and remove the finalizer.

use kube::ResourceExt;
use kube::api::Patch;
use provident_core::api::{DeletionPolicy, EventReason, FINALIZER};
use provident_core::plan::{self, Facts, Observation};
use serde_json::json;
use tracing::{info, warn};

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
    let retains = held.object.spec.deletion_policy == DeletionPolicy::Retain;
    if plan::is_orphaning(facts) && !retains {
        let note = format!(
            "The deletion orphaned Secret {} (--cascade=orphan), so its client stays active at the vendor, as with deletionPolicy: Retain",
            held.object.secret_name()
        );
        held.event(EventReason::ClientReleased, &note).await;
    }
    if held.connection_lost
        && let Some(client_id) = plan::client(facts)
    {
        // No event: a namespace that is being deleted takes none.
        held.ctx.metrics.outcomes.orphaned();
        warn!(
            %client_id,
            "Released without deactivating the client: its namespace is being deleted, and the connection's credentials are gone. \
             Deactivate the client at the vendor"
        );
    } else if let Some(client_id) = plan::client(facts) {
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
