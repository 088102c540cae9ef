//! What is told of an object that has no client.

use super::{MessageContext, Report, Requeue, conflict, only, unchanged, unusable};
use crate::api::{OAuthClientSpec, Reason};
use crate::plan::facts::{AdoptionFact, AttemptState, AutoRetry, Facts};
use crate::plan::next::is_held;
use crate::plan::take_up::{TakeUp, take_up};
use crate::vendor::outcome::Ambiguity;

pub(super) fn unbound(spec: &OAuthClientSpec, facts: &Facts, texts: MessageContext<'_>) -> Report {
    if facts
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.state == AttemptState::InProgress)
    {
        return unchanged(Requeue::AttemptOver);
    }
    if let AdoptionFact::Refused(reason, message) = &facts.adoption {
        return only(*reason, message.clone(), Requeue::Backoff);
    }
    if is_held(facts) && !retry_asked(facts) && facts.adoption == AdoptionFact::None {
        return held(facts, texts);
    }
    match take_up(&facts.secret) {
        TakeUp::Mismatch => {
            let message = format!(
                "spec.secret.name: the Secret {} carries a client that was not recorded for this object. \
                 Delete that Secret, or name its client in spec.adoption, or delete this OAuthClient and declare it anew with \
                 another spec.secret.name",
                texts.secret
            );
            return only(Reason::BindingMismatch, message, Requeue::Backoff);
        }
        TakeUp::Stranger => return conflict(texts),
        TakeUp::Former => {
            let message = format!(
                "Waiting for the Secret {} of a former object of this name to be collected",
                texts.secret
            );
            return only(Reason::Pending, message, Requeue::Backoff);
        }
        TakeUp::Absent | TakeUp::Client(_) => {}
    }
    if spec.suspend == Some(true) {
        return only(
            Reason::Suspended,
            "spec.suspend is true: set it to false to have the client",
            Requeue::Verification,
        );
    }
    if let Some(report) = unusable(facts) {
        return report;
    }
    if facts.breaker_open {
        let message = "No client is created until the vendor answers again: an earlier create was left unanswered";
        return only(Reason::VendorUnavailable, message, Requeue::Backoff);
    }
    // A claim that is dropped, a process that leaves, a spec that waits for an edit.
    unchanged(if facts.rejected {
        Requeue::Verification
    } else {
        Requeue::Backoff
    })
}

fn retry_asked(facts: &Facts) -> bool {
    facts.retry.is_some()
        && facts.retry.as_ref() == facts.attempt.as_ref().map(|attempt| &attempt.id)
}

fn held(facts: &Facts, texts: MessageContext<'_>) -> Report {
    let (doubt, id) = match &facts.attempt {
        Some(attempt) => (&attempt.state, attempt.id.to_string()),
        None => return unchanged(Requeue::Verification),
    };
    let again = match facts.auto_retry {
        AutoRetry::No => None,
        AutoRetry::Early => Some(Requeue::AttemptOver),
        AutoRetry::Unprobed | AutoRetry::Due => Some(Requeue::Backoff),
    };
    if let Some(retry) = again {
        let message = format!(
            "The create that began at {} has no known outcome. The connection says unknownOutcome: Requeue, so it is made once \
             more when it can be under way no longer and the vendor answers; a client named \"{}\" may then be there twice",
            texts.attempt_time, texts.vendor_name
        );
        return only(Reason::Pending, message, retry);
    }
    let (reason, what) = match doubt {
        AttemptState::Unknown(Ambiguity::ExistingClient) => (
            Reason::ExistingClientReturned,
            "was answered with a client that is not new, so whether one was made is not known",
        ),
        _ => (
            Reason::CreateOutcomeUnknown,
            "has no known outcome, and trying again could make a second client",
        ),
    };
    let message = format!(
        "The create that began at {} {what}. Look for the name \"{}\" at the vendor. If it is there, take it over: \
         put its clientSecret into a Secret and name both in spec.adoption. If it is not there: \
         kubectl annotate oauthclient {} -n {} --overwrite {}={id}",
        texts.attempt_time,
        texts.vendor_name,
        texts.name,
        texts.namespace,
        crate::api::RETRY_CREATE,
    );
    only(reason, message, Requeue::Verification)
}
