//! Events, as `kubectl describe` shows them.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use tracing::warn;

pub use kube::runtime::events::EventType;

/// The API server's limit is 1 KiB.
const LONGEST_NOTE: usize = 1000;

/// Publishes an event. Its failure never fails what it is about: a terminating namespace forbids events.
pub(crate) async fn publish(
    client: &Client,
    reporter: &Reporter,
    about: &ObjectReference,
    type_: EventType,
    reason: &str,
    note: &str,
) {
    let event = Event {
        type_,
        reason: reason.to_owned(),
        note: Some(note.chars().take(LONGEST_NOTE).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // A new recorder each time: a shared one counts an event with the reason of the one before as a repeat, and drops its note.
    let recorder = Recorder::new(client.clone(), reporter.clone());
    if let Err(error) = recorder.publish(&event, about).await {
        let error = super::describe(&error);
        warn!(error, reason, "Failed to publish event");
    }
}
