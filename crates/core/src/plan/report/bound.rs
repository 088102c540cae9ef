//! The report on an object that has its client.

use std::time::Duration;

use super::{
    ConditionUpdate, MessageContext, Report, conflict, in_conflict, not_ready, unchanged, unusable,
};
use crate::api::{ConditionStatus, DriftPolicy, OAuthClientSpec, ROTATE, Reason};
use crate::plan::blocked::Requeue;
use crate::plan::diff::names;
use crate::plan::facts::{Content, Facts, Found, RecordedClient, Vendor};
use crate::plan::rotation::{RotationState, Wait};
use crate::plan::rules::{is_recovering_from_hold, is_suspended};

/// A scheduled rotation that waits for another one checks again after this.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// How long the operator leaves a Secret alone that another writer keeps overwriting.
const CONTESTED_PAUSE: Duration = Duration::from_mins(1);

pub(super) fn bound(spec: &OAuthClientSpec, facts: &Facts, context: MessageContext<'_>) -> Report {
    let found = match &facts.vendor {
        Vendor::Found(found) => found,
        Vendor::Missing => return missing(),
        Vendor::NotAsked
            if facts.contested && !facts.ready && facts.secret.content() != Content::Current =>
        {
            return contested(context);
        }
        Vendor::NotAsked | Vendor::Deactivated => return not_asked(spec, facts),
    };
    if is_recovering_from_hold(facts) {
        return unchanged(Requeue::Now);
    }
    if facts.secret.content() != Content::Current {
        return if facts.contested {
            contested(context)
        } else if found.credentials {
            conflict(context)
        } else {
            unchanged(Requeue::Now)
        };
    }
    let secret_ready = available(format!(
        "Secret {} holds the client's credentials",
        context.secret
    ));
    let (ready, mut synced) = synced(spec, facts, found, context);
    if let Some(why) = facts.rotation.waiting.and_then(waiting) {
        synced.2 = format!("{}. {why}", synced.2);
    }
    Report {
        ready: Some(ready),
        synced: Some(synced),
        secret_ready: Some(secret_ready),
        requeue: until_rotation(facts, found),
    }
}

fn available(message: impl Into<String>) -> ConditionUpdate {
    (ConditionStatus::True, Reason::Available, message.into())
}

fn missing() -> Report {
    let message = "The client no longer exists at the vendor. The operator rechecks every refreshInterval. To create a new client, delete \
                   and recreate this OAuthClient";
    let report = not_ready(Reason::ClientMissing, message, Requeue::Verification);
    Report {
        synced: report.ready.clone(),
        ..report
    }
}

fn not_asked(spec: &OAuthClientSpec, facts: &Facts) -> Report {
    if is_suspended(spec) {
        return suspended(facts);
    }
    match unusable(facts) {
        Some(report) if facts.ready && report.requeue == Requeue::Backoff => {
            unverified(facts, report)
        }
        Some(report) => report,
        None if facts.record == RecordedClient::Empty => unchanged(Requeue::Now),
        None => unchanged(until_turn(facts)),
    }
}

// What was true at the last verification stays reported. A ready object keeps Ready=True, for the new generation too, so that
// whoever waits for it does not wait for as long as it is suspended.
fn suspended(facts: &Facts) -> Report {
    if !facts.was_ready {
        return unchanged(Requeue::Verification);
    }
    let message = "spec.suspend is true: the client and its Secret are as last verified, and later edits of the spec are not applied";
    Report {
        ready: Some((ConditionStatus::True, Reason::Suspended, message.to_owned())),
        ..unchanged(Requeue::Verification)
    }
}

// The client is as declared, as far as the last verification shows. A connection that is down reports that itself; one that
// is gone, or a requested verification, must be answered here.
fn unverified(facts: &Facts, report: Report) -> Report {
    let requeue = report.requeue;
    match report.ready {
        Some((_, reason, message))
            if facts.verification_requested || reason == Reason::ConnectionNotFound =>
        {
            let waits = if facts.verification_requested {
                ". The requested verification waits"
            } else {
                ""
            };
            let message = format!("{message}. The client is no longer verified{waits}");
            Report {
                synced: Some((ConditionStatus::Unknown, reason, message)),
                ..unchanged(requeue)
            }
        }
        _ => unchanged(requeue),
    }
}

/// Why a scheduled rotation does not start. Waiting for another rotation is too short to report.
fn waiting(why: Wait) -> Option<&'static str> {
    match why {
        Wait::Turn => None,
        Wait::Clock => Some(
            "The scheduled rotation is paused: the clocks of the operator's host and of the API server differ by more than 5 minutes",
        ),
        Wait::Schedule => Some(
            "spec.rotation: no rotation is scheduled, because window.schedule is invalid or never fires",
        ),
    }
}

fn until_rotation(facts: &Facts, found: &Found) -> Requeue {
    let rotation = &facts.rotation;
    match &rotation.open {
        Some(_) if found.rotated => match rotation.requested {
            Some(_) => Requeue::Now,
            None => Requeue::Verification,
        },
        Some(open) => match open.state {
            RotationState::InProgress => Requeue::RotationOver,
            RotationState::Accepted | RotationState::Refused => Requeue::Backoff,
            RotationState::Unsent { .. } | RotationState::Abandoned => Requeue::Now,
            RotationState::NotApplied => Requeue::Verification,
        },
        None => until_turn(facts),
    }
}

fn until_turn(facts: &Facts) -> Requeue {
    match facts.rotation.waiting {
        Some(Wait::Turn) => Requeue::After(TURN_WAIT),
        Some(Wait::Clock) => Requeue::Backoff,
        Some(Wait::Schedule) | None => Requeue::Verification,
    }
}

fn contested(context: MessageContext<'_>) -> Report {
    let MessageContext {
        namespace, secret, ..
    } = context;
    let message = format!(
        "Secret {secret} keeps being overwritten; repairs are paused for one minute. Find the other writer in \
         metadata.managedFields and stop it: kubectl get secret {secret} -n {namespace} -o yaml --show-managed-fields"
    );
    in_conflict(message, Requeue::After(CONTESTED_PAUSE))
}

fn synced(
    spec: &OAuthClientSpec,
    facts: &Facts,
    found: &Found,
    context: MessageContext<'_>,
) -> (ConditionUpdate, ConditionUpdate) {
    let ready = available("The client exists as declared, and the Secret holds its credentials");
    let both = |reason, message: String| {
        let update = (ConditionStatus::False, reason, message);
        (update.clone(), update)
    };
    let fields = names(&found.differs);
    // The worst first: an inactive client cannot get tokens, whatever else differs.
    if let Some(message) = deactivated(spec, found) {
        return both(Reason::DeactivatedAtVendor, message);
    }
    if !found.differs.is_empty() && spec.drift_policy == DriftPolicy::Correct {
        return if facts.rejected && !facts.updated {
            both(
                Reason::SpecRejected,
                format!(
                    "The vendor rejected the update of {fields}. Edit these fields of the spec"
                ),
            )
        } else {
            both(
                Reason::UpdateNotApplied,
                format!(
                    "The vendor accepted the update but did not apply it to: {fields}. Set the vendor's value or remove the field"
                ),
            )
        };
    }
    if let Some(open) = &facts.rotation.open
        && open.state == RotationState::NotApplied
        && !found.rotated
    {
        let message = format!(
            "The vendor accepted rotation {:?} but still returns the previous secret. Request it again with a new value: \
             kubectl annotate oauthclients.oauth.provident.ae {} -n {} --overwrite {ROTATE}=<value>",
            open.token.text, context.name, context.namespace
        );
        return both(Reason::RotationNotApplied, message);
    }
    if !found.differs.is_empty() {
        let message = format!(
            "The vendor's client differs in: {fields}. driftPolicy is Report, so the operator does not correct it"
        );
        return (ready, (ConditionStatus::False, Reason::Drifted, message));
    }
    (ready, available("The vendor's client equals the spec"))
}

// A client that is inactive although the spec does not say so, and that no update is about to activate.
fn deactivated(spec: &OAuthClientSpec, found: &Found) -> Option<String> {
    if found.active {
        return None;
    }
    let what = "The client was deactivated at the vendor";
    match (spec.is_active, spec.drift_policy) {
        (Some(false), _) | (Some(true), DriftPolicy::Correct) => None,
        (None, _) => Some(format!(
            "{what}. To activate it again, set spec.isActive: true"
        )),
        (Some(true), DriftPolicy::Report) => Some(format!(
            "{what}, and driftPolicy is Report. Activate it there, or set driftPolicy: Correct"
        )),
    }
}
