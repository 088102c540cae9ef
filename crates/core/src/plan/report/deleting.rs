//! What is told of an object that is being deleted.

use super::{Blocked, KEY_MISSING, MISMATCH, MessageContext, Report, Requeue, only, unchanged};
use crate::api::Reason;
use crate::plan::facts::{AttemptState, ConnectionFacts, Facts, RecordedClient};

pub(super) fn deleting(
    facts: &Facts,
    blocked: Option<&Blocked>,
    texts: MessageContext<'_>,
) -> Report {
    if let Some(attempt) = &facts.attempt {
        if attempt.state == AttemptState::InProgress {
            let message = format!(
                "Deletion waits for the create that began at {}: it may still be answered",
                texts.attempt_time
            );
            return only(Reason::Deactivating, message, Requeue::AttemptOver);
        }
        if matches!(attempt.state, AttemptState::Created(_))
            && facts.record == RecordedClient::Empty
        {
            return unchanged(Requeue::Now);
        }
    }
    let (reason, cause, retry) = match (blocked, &facts.connection, &facts.record) {
        (Some(blocked), _, _) => (blocked.reason, blocked.message.as_str(), blocked.retry),
        (None, _, RecordedClient::Unverified) => {
            (Reason::BindingMismatch, MISMATCH, Requeue::Verification)
        }
        (None, _, RecordedClient::KeyMissing) => {
            (Reason::BindingKeyMissing, KEY_MISSING, Requeue::Backoff)
        }
        (None, ConnectionFacts::Unusable(reason, message), _) => {
            (*reason, message.as_str(), Requeue::Backoff)
        }
        _ => return unchanged(Requeue::Verification),
    };
    let message = format!(
        "Deletion waits for the client to be deactivated. {cause}. To delete without deactivating it: \
         kubectl patch oauthclient {} -n {} --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'",
        texts.name, texts.namespace
    );
    only(reason, message, retry)
}
