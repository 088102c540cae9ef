//! How a pass takes in what a step has shown: by the program's own `Facts::apply`, or by one of the wrong ones that the
//! checker must find.

use std::sync::Arc;

use provident_core::api::Reason;
use provident_core::plan::{Blocked, Content, Observation, Requeue, Step, Vendor};
use provident_core::vendor::outcome::Refusal;

use super::System;
use super::mistakes::Mistake;
use super::process::Pass;

/// A step that is blocked for this reason. Nothing depends on messages here.
pub fn blocked(reason: Reason) -> Observation {
    Observation::Blocked(why(reason))
}

/// Why a step is blocked.
pub fn why(reason: Reason) -> Blocked {
    Blocked::new(reason, String::new(), Requeue::Backoff)
}

/// Takes in an observation.
pub fn take_in(system: &System, pass: &mut Pass, step: &Step, observation: Observation) {
    match system.mistake {
        Some(mistake) => mistaken(mistake, pass, step, observation),
        None => Arc::make_mut(&mut pass.facts).apply(step, observation),
    }
}

fn mistaken(mistake: Mistake, pass: &mut Pass, step: &Step, observation: Observation) {
    let facts = Arc::make_mut(&mut pass.facts);
    let before = facts.clone();
    match (mistake, &observation) {
        (Mistake::RefusalAppliedAsUnsent, Observation::NotCreated(..)) => {
            facts.apply(step, Observation::NotSent);
        }
        (Mistake::UnknownAppliedAsNotCreated, Observation::CreateUnknown { .. }) => {
            let blocked = why(Reason::VendorUnavailable);
            facts.apply(step, Observation::NotCreated(Refusal::Other, blocked));
        }
        (Mistake::SecretTooLateIgnored, Observation::SecretTooLate) => {}
        (Mistake::UpdateForgotten, Observation::Client(_)) => {
            facts.apply(step, observation);
            facts.updated = before.updated;
        }
        (Mistake::AnswerKeptAfterRotation, Observation::RotationAccepted) => {
            facts.apply(step, observation);
            facts.vendor = before.vendor;
        }
        (Mistake::BodyTrusted, Observation::RotationAccepted) => {
            facts.apply(step, observation);
            facts.vendor = before.vendor;
            if let (Vendor::Found(found), Some(verified)) = (&mut facts.vendor, &mut pass.verified)
            {
                found.rotated = true;
                verified.no += 1;
                facts.secret = before.secret.with_content(Content::Stale);
                pass.outdated = false;
            }
        }
        (Mistake::PreflightOutlivesPermit, Observation::NotSent) => {
            facts.apply(step, observation);
            facts.preflight = before.preflight;
        }
        (Mistake::RetryOfForgotten, Observation::Claimed(_)) => {
            facts.apply(step, observation);
            if let Some(attempt) = &mut facts.attempt {
                attempt.retry_of = None;
            }
        }
        _ => facts.apply(step, observation),
    }
}
