//! The report on an object that has no client.

use super::{MessageContext, Report, conflict, not_ready, unchanged, unusable};
use crate::api::{OAuthClientSpec, Reason};
use crate::plan::blocked::Requeue;
use crate::plan::facts::{AdoptionFact, AttemptState, AutoRetry, Facts};
use crate::plan::rules::{
    answer_is_unrecorded, attempt_may_answer, is_held, is_retry_requested, is_suspended,
};
use crate::plan::take_up::{TakeUp, take_up};
use crate::vendor::outcome::Ambiguity;

pub(super) fn unbound(
    spec: &OAuthClientSpec,
    facts: &Facts,
    context: MessageContext<'_>,
) -> Report {
    if attempt_may_answer(facts) {
        return in_progress(context);
    }
    if answer_is_unrecorded(facts) {
        // Its client is orphaned: that is resolved before the next reconcile.
        return unchanged(Requeue::Now);
    }
    if let AdoptionFact::Refused(reason, message) = &facts.adoption {
        return not_ready(*reason, message.clone(), Requeue::Backoff);
    }
    let attempt = facts.attempt.as_ref();
    let retry_requested = attempt.is_some_and(|attempt| is_retry_requested(facts, attempt));
    if is_held(facts) && !retry_requested && facts.adoption == AdoptionFact::None {
        return held(facts, context);
    }
    match take_up(&facts.secret) {
        TakeUp::Mismatch => {
            let message = format!(
                "spec.secret.name: Secret {} carries a client that was not recorded for this object. Delete that Secret, name its \
                 client in spec.adoption, or recreate this OAuthClient with a different spec.secret.name",
                context.secret
            );
            return not_ready(Reason::BindingMismatch, message, Requeue::Backoff);
        }
        TakeUp::Unproven(_) => return unproven(spec, facts, context),
        TakeUp::Stranger => return conflict(context),
        TakeUp::Former => {
            let message = format!(
                "Waiting for the garbage collector to delete Secret {}, which belongs to a former OAuthClient of this name",
                context.secret
            );
            return not_ready(Reason::Pending, message, Requeue::Backoff);
        }
        TakeUp::Absent | TakeUp::Client(_) => {}
    }
    if is_suspended(spec) {
        return suspended("Set it to false to create the client");
    }
    if let Some(report) = unusable(facts) {
        return report;
    }
    if facts.breaker_open {
        let message = "An earlier create over this connection was not answered. No client is created until the vendor responds again";
        return not_ready(Reason::VendorUnavailable, message, Requeue::Backoff);
    }
    // A dropped claim, a process that is shutting down, or a rejected spec that waits for an edit.
    unchanged(if facts.rejected {
        Requeue::Verification
    } else {
        Requeue::Backoff
    })
}

fn suspended(step: &str) -> Report {
    let message = format!("spec.suspend is true. {step}");
    not_ready(Reason::Suspended, message, Requeue::Verification)
}

// The vendor must be asked before the Secret can prove anything.
fn unproven(spec: &OAuthClientSpec, facts: &Facts, context: MessageContext<'_>) -> Report {
    if is_suspended(spec) {
        return suspended("Set it to false to take up the client of its Secret");
    }
    if let Some(report) = unusable(facts) {
        return report;
    }
    match facts.adoption {
        AdoptionFact::None => not_ready(
            Reason::BindingMismatch,
            format!("spec.secret.name: {}", unproven_secret(context.secret)),
            Requeue::Backoff,
        ),
        AdoptionFact::Proof { .. } | AdoptionFact::Proven { .. } | AdoptionFact::Refused(..) => {
            unchanged(Requeue::Backoff)
        }
    }
}

/// What is wrong with a Secret that was restored into a new namespace and does not prove the right to its client.
#[must_use]
pub fn unproven_secret(secret: &str) -> String {
    format!(
        "Secret {secret} carries a client that was recorded in a former namespace of this name, and it does not hold that client's \
         current secret as spec.secret.stringData declares it. Restore the Secret from a newer backup, name its client in \
         spec.adoption, or delete that Secret to create a new client"
    )
}

// Status may still say that no operator is running, from before the crash that interrupted the attempt.
fn in_progress(context: MessageContext<'_>) -> Report {
    let message = format!(
        "A create started at {} may still be in progress. The operator waits up to two minutes for its outcome",
        context.attempt_time
    );
    not_ready(Reason::Pending, message, Requeue::AttemptOver)
}

fn held(facts: &Facts, context: MessageContext<'_>) -> Report {
    let (state, id) = match &facts.attempt {
        Some(attempt) => (&attempt.state, attempt.id.to_string()),
        None => return unchanged(Requeue::Verification),
    };
    let MessageContext {
        namespace,
        name,
        vendor_name,
        attempt_time,
        ..
    } = context;
    let retried = match facts.auto_retry {
        AutoRetry::No => None,
        AutoRetry::Early => Some(Requeue::AttemptOver),
        AutoRetry::Unprobed | AutoRetry::Due => Some(Requeue::Backoff),
    };
    if let Some(requeue) = retried {
        let message = format!(
            "The outcome of the create started at {attempt_time} is unknown. The connection's unknownOutcomePolicy is Retry, so the \
             operator retries once, as soon as the create cannot be running any more and the vendor responds. A client named \
             {vendor_name:?} may then exist twice"
        );
        return not_ready(Reason::Pending, message, requeue);
    }
    let (reason, what) = match state {
        AttemptState::Unknown(Ambiguity::ExistingClient) => (
            Reason::ExistingClientReturned,
            format!(
                "The create started at {attempt_time} returned a client that existed before, so it is unknown whether it created one"
            ),
        ),
        _ => (
            Reason::CreateOutcomeUnknown,
            format!(
                "The outcome of the create started at {attempt_time} is unknown, and a retry could create a second client"
            ),
        ),
    };
    let message = format!(
        "{what}. Look for the name {vendor_name:?} at the vendor. If the client exists, adopt it: store its clientSecret in a Secret \
         and name both in spec.adoption. If it does not exist, run: kubectl annotate oauthclients.oauth.provident.ae {name} \
         -n {namespace} --overwrite {}={id}",
        crate::api::RETRY_CREATE,
    );
    not_ready(reason, message, Requeue::Verification)
}
