//! Events, as `kubectl describe` shows them.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use tracing::warn;

use crate::context::Context;
use provident_core::api::Reason;

/// The API server's limit is 1 KiB.
const LONGEST_NOTE: usize = 1000;

/// Publishes an event. It never fails what it is about: a terminating namespace forbids events.
pub(crate) async fn publish(
    ctx: &Context,
    about: &ObjectReference,
    bad: bool,
    reason: Reason,
    note: &str,
) {
    let event = Event {
        type_: if bad {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: reason.to_string(),
        note: Some(note.chars().take(LONGEST_NOTE).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // A recorder of its own: a shared one counts an event of equal reason as the former one, and drops its note.
    let recorder = Recorder::new(ctx.client.clone(), ctx.reporter.clone());
    if let Err(error) = recorder.publish(&event, about).await {
        let error = super::describe(&error);
        warn!(error, "Failed to publish an event");
    }
}
