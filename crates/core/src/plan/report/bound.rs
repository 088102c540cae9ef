//! What is told of an object that has its client.

use std::time::Duration;

use super::{
    ConditionUpdate, MessageContext, Report, Requeue, conflict, in_conflict, only, unchanged,
    unusable,
};
use crate::api::{ConditionStatus, DriftPolicy, OAuthClientSpec, ROTATE, Reason};
use crate::plan::diff::names;
use crate::plan::facts::{Content, Facts, Found, RecordedClient, Vendor};
use crate::plan::next::adopted_out_of_a_hold;
use crate::plan::rotation::{Open, RotationState, Wait};

/// How the message of `NotApplied` begins; the fields follow, to the end.
pub const NOT_APPLIED: &str = "The vendor took the change and did not apply it. State its own value, or leave the field out: ";

/// How the message begins that tells of a rotation which the vendor did not carry out.
#[must_use]
pub fn not_rotated(token: &str) -> String {
    format!("The vendor took the rotation {token} and GET still answers the former secret.")
}

/// A scheduled rotation that waits for its turn looks again after this.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// How long a Secret that somebody else writes too is left alone.
const CONTESTED_PAUSE: Duration = Duration::from_mins(1);

pub(super) fn bound(spec: &OAuthClientSpec, facts: &Facts, texts: MessageContext<'_>) -> Report {
    let unrecorded = facts.record == RecordedClient::Empty;
    let found = match &facts.vendor {
        Vendor::Found(found) => found,
        Vendor::Missing => {
            let message = "The vendor has no client of this clientId any more. It is looked for again at every refreshInterval; \
                           to have a new one, delete this OAuthClient and declare it again";
            let report = only(Reason::ClientMissing, message, Requeue::Verification);
            return Report {
                synced: report.ready.clone(),
                ..report
            };
        }
        Vendor::NotAsked
            if facts.contested && !facts.ready && facts.secret.content() != Content::Current =>
        {
            return contested(texts);
        }
        Vendor::NotAsked | Vendor::Deactivated => {
            return match unusable(facts) {
                _ if spec.suspend == Some(true) => unchanged(Requeue::Verification),
                Some(report) if !(facts.ready && report.retry == Requeue::Backoff) => report,
                Some(report) => unchanged(report.retry),
                None => unchanged(if unrecorded {
                    Requeue::Now
                } else {
                    until_turn(facts)
                }),
            };
        }
    };
    if adopted_out_of_a_hold(facts) {
        return unchanged(Requeue::Now);
    }
    if facts.secret.content() != Content::Current {
        return if facts.contested {
            contested(texts)
        } else if found.credentials {
            conflict(texts)
        } else {
            unchanged(Requeue::Now)
        };
    }
    let good = |message: String| Some((ConditionStatus::True, Reason::Available, message));
    let secret_ready = good(format!(
        "The Secret {} holds the client's credentials",
        texts.secret
    ));
    let (ready, mut synced) = synced(spec, facts, found, texts);
    if let Some(why) = facts.rotation.waits.and_then(waiting) {
        synced.2 = format!("{}. {why}", synced.2);
    }
    Report {
        ready: Some(ready),
        synced: Some(synced),
        secret_ready,
        retry: rotating(facts, found),
    }
}

/// Why a scheduled rotation does not come; a turn that is another's passes too soon to be told.
fn waiting(why: Wait) -> Option<&'static str> {
    match why {
        Wait::Turn => None,
        Wait::Clock => Some(
            "The scheduled rotation waits: the clocks of the operator's host and of the API server differ by more than 5 min",
        ),
        Wait::Schedule => Some(
            "spec.rotation: no rotation is scheduled, since the window's schedule is not a cron expression that ever comes",
        ),
    }
}

/// When to look again for the sake of a rotation.
fn rotating(facts: &Facts, found: &Found) -> Requeue {
    let rotation = &facts.rotation;
    match &rotation.open {
        Some(_) if found.rotated => match rotation.asked {
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
    match facts.rotation.waits {
        Some(Wait::Turn) => Requeue::After(TURN_WAIT),
        Some(Wait::Clock) => Requeue::Backoff,
        Some(Wait::Schedule) | None => Requeue::Verification,
    }
}

fn contested(texts: MessageContext<'_>) -> Report {
    let MessageContext {
        namespace, secret, ..
    } = texts;
    let message = format!(
        "The Secret {secret} is changed again each time it is put right; it is left as it is for a minute. Find the other \
         writer in its metadata.managedFields and blocked it: kubectl get secret {secret} -n {namespace} -o yaml --show-managed-fields"
    );
    in_conflict(message, Requeue::After(CONTESTED_PAUSE))
}

fn synced(
    spec: &OAuthClientSpec,
    facts: &Facts,
    found: &Found,
    texts: MessageContext<'_>,
) -> (ConditionUpdate, ConditionUpdate) {
    let good = |message: &str| (ConditionStatus::True, Reason::Available, message.to_owned());
    let ready = good("The client exists as declared, and the Secret holds its credentials");
    let bad = |reason, message: String| {
        let told = (ConditionStatus::False, reason, message);
        (told.clone(), told)
    };
    if !found.differs.is_empty() {
        let fields = names(&found.differs);
        return match spec.drift_policy {
            DriftPolicy::Report => {
                let message = format!("Differs at the vendor, and driftPolicy is Report: {fields}");
                (ready, (ConditionStatus::False, Reason::Drifted, message))
            }
            DriftPolicy::Correct if facts.rejected && !found.updated => bad(
                Reason::SpecRejected,
                format!("The vendor rejected the change of: {fields}. Edit the spec"),
            ),
            DriftPolicy::Correct => bad(Reason::UpdateNotApplied, format!("{NOT_APPLIED}{fields}")),
        };
    }
    let refused = |open: &Open| open.state == RotationState::NotApplied && !found.rotated;
    if let Some(open) = facts.rotation.open.as_ref().filter(|open| refused(open)) {
        let message = format!(
            "{} Ask again with a new value: kubectl annotate oauthclient {} -n {} --overwrite {ROTATE}=<value>",
            not_rotated(&open.token.text),
            texts.name,
            texts.namespace
        );
        return bad(Reason::UpdateNotApplied, message);
    }
    if !found.active && spec.is_active.is_none() {
        let message = "The client was deactivated at the vendor. To activate it again, set spec.isActive: true";
        return bad(Reason::DeactivatedAtVendor, message.to_owned());
    }
    (ready, good("The vendor's client equals the spec"))
}
