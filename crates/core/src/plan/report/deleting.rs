//! The report on an object that is being deleted.

use super::{MISMATCH, MessageContext, Report, key_missing, not_ready, unchanged};
use crate::api::Reason;
use crate::plan::blocked::Requeue;
use crate::plan::facts::{ConnectionFacts, Facts, RecordedClient};
use crate::plan::rules::{answer_is_unrecorded, attempt_may_answer};

pub(super) fn deleting(facts: &Facts, context: MessageContext<'_>) -> Report {
    if attempt_may_answer(facts) {
        let message = format!(
            "Deletion waits for the create started at {}, which may still be answered",
            context.attempt_time
        );
        return not_ready(Reason::Deactivating, message, Requeue::AttemptOver);
    }
    if answer_is_unrecorded(facts) {
        return unchanged(Requeue::Now);
    }
    let (reason, cause, requeue) = match (&facts.blocked, &facts.connection, &facts.record) {
        (Some(blocked), _, _) => (blocked.reason, blocked.message.as_str(), blocked.requeue),
        (None, _, RecordedClient::Unverified) => {
            (Reason::BindingMismatch, MISMATCH, Requeue::Verification)
        }
        (None, _, RecordedClient::KeyMissing) => (
            Reason::BindingKeyMissing,
            key_missing(facts),
            Requeue::Backoff,
        ),
        (None, ConnectionFacts::Unusable(reason, message), _) => {
            (*reason, message.as_str(), Requeue::Backoff)
        }
        (
            None,
            ConnectionFacts::Usable | ConnectionFacts::Denied(_),
            RecordedClient::Empty | RecordedClient::Bound(_),
        ) => return unchanged(Requeue::Verification),
    };
    let message = format!(
        "Deletion waits until the client is deactivated. {cause}. To delete without deactivating the client, run: \
         kubectl patch oauthclients.oauth.provident.ae {} -n {} --type merge -p '{{\"spec\":{{\"deletionPolicy\":\"Retain\"}}}}'",
        context.name, context.namespace
    );
    not_ready(reason, message, requeue)
}
