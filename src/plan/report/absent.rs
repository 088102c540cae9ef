//! What is told of an object that has no client.

use super::{Report, Retry, Texts, conflict, only, unchanged, unusable};
use crate::api::{OAuthClientSpec, Reason};
use crate::plan::next::is_held;
use crate::plan::seen::{Adoption, AutoRetry, Known, Seen};
use crate::plan::take_up::{TakeUp, take_up};
use crate::provident::outcome::Doubt;

pub(super) fn absent(spec: &OAuthClientSpec, seen: &Seen, texts: Texts<'_>) -> Report {
    if seen
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.known == Known::MayRun)
    {
        return unchanged(Retry::AttemptOver);
    }
    if let Adoption::Refused(reason, message) = &seen.adoption {
        return only(*reason, message.clone(), Retry::Backoff);
    }
    if is_held(seen) && !retry_asked(seen) && seen.adoption == Adoption::None {
        return held(seen, texts);
    }
    match take_up(&seen.secret) {
        TakeUp::Mismatch => {
            let message = format!(
                "spec.secret.name: the Secret {} carries a client that was not recorded for this object. \
                 Delete that Secret, or name its client in spec.adoption, or delete this OAuthClient and declare it anew with \
                 another spec.secret.name",
                texts.secret
            );
            return only(Reason::BindingMismatch, message, Retry::Backoff);
        }
        TakeUp::Stranger => return conflict(texts),
        TakeUp::Former => {
            let message = format!(
                "Waiting for the Secret {} of a former object of this name to be collected",
                texts.secret
            );
            return only(Reason::Pending, message, Retry::Backoff);
        }
        TakeUp::Absent | TakeUp::Client(_) => {}
    }
    if spec.suspend == Some(true) {
        return only(
            Reason::Suspended,
            "spec.suspend is true: set it to false to have the client",
            Retry::Verification,
        );
    }
    if let Some(report) = unusable(seen) {
        return report;
    }
    if seen.breaker_open {
        let message = "No client is created until the vendor answers again: an earlier create was left unanswered";
        return only(Reason::VendorUnavailable, message, Retry::Backoff);
    }
    // A claim that is dropped, a process that leaves, a spec that waits for an edit.
    unchanged(if seen.rejected {
        Retry::Verification
    } else {
        Retry::Backoff
    })
}

fn retry_asked(seen: &Seen) -> bool {
    seen.retry.is_some() && seen.retry.as_ref() == seen.attempt.as_ref().map(|attempt| &attempt.id)
}

fn held(seen: &Seen, texts: Texts<'_>) -> Report {
    let (doubt, id) = match &seen.attempt {
        Some(attempt) => (&attempt.known, attempt.id.to_string()),
        None => return unchanged(Retry::Verification),
    };
    let again = match seen.auto_retry {
        AutoRetry::No => None,
        AutoRetry::Early => Some(Retry::AttemptOver),
        AutoRetry::Unprobed | AutoRetry::Due => Some(Retry::Backoff),
    };
    if let Some(retry) = again {
        let message = format!(
            "The create that began at {} has no known outcome. The connection says unknownOutcome: Retry, so it is made once \
             more when it can be under way no longer and the vendor answers; a client named \"{}\" may then be there twice",
            texts.attempt_time, texts.vendor_name
        );
        return only(Reason::Pending, message, retry);
    }
    let (reason, what) = match doubt {
        Known::Unknown(Doubt::NotNew) => (
            Reason::AnswerNotNew,
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
    only(reason, message, Retry::Verification)
}
