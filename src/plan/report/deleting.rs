//! What is told of an object that is being deleted.

use super::{KEY_MISSING, MISMATCH, Report, Retry, Stop, Texts, only, unchanged};
use crate::api::Reason;
use crate::plan::seen::{Connection, Known, Record, Seen};

pub(super) fn deleting(seen: &Seen, stop: Option<&Stop>, texts: Texts<'_>) -> Report {
    if let Some(attempt) = &seen.attempt {
        if attempt.known == Known::MayRun {
            let message = format!(
                "Deletion waits for the create that began at {}: it may still be answered",
                texts.attempt_time
            );
            return only(Reason::Deactivating, message, Retry::AttemptOver);
        }
        if matches!(attempt.known, Known::Created(_)) && seen.record == Record::Empty {
            return unchanged(Retry::Now);
        }
    }
    let (reason, cause, retry) = match (stop, &seen.connection, &seen.record) {
        (Some(stop), _, _) => (stop.reason, stop.message.as_str(), stop.retry),
        (None, _, Record::Unproven) => (Reason::BindingMismatch, MISMATCH, Retry::Verification),
        (None, _, Record::KeyMissing) => (Reason::BindingKeyMissing, KEY_MISSING, Retry::Backoff),
        (None, Connection::Unusable(reason, message), _) => {
            (*reason, message.as_str(), Retry::Backoff)
        }
        _ => return unchanged(Retry::Verification),
    };
    let message = format!(
        "Deletion waits for the client to be deactivated. {cause}. To delete without deactivating it: \
         kubectl patch oauthclient {} -n {} --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'",
        texts.name, texts.namespace
    );
    only(reason, message, retry)
}
