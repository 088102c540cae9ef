//! The decision: which step comes next. Read it from the top: an object is being deleted, or has a client, or is to get
//! one. The rules it applies are in [`super::rules`], one predicate each.

use super::facts::{
    AdoptionFact, AttemptState, ConnectionFacts, Content, Facts, RecordedClient, SecretFacts,
    Vendor,
};
use super::rotation::rotate;
use super::rules::{
    accepts_correction, answer_is_unrecorded, attempt_may_answer, client, is_held_elsewhere,
    is_owned, is_recovering_from_hold, is_settled, leaves_client_alone, lost_finalizer,
    may_call_vendor, may_create, may_retry, may_write_secret, needs_no_deactivation,
    waits_for_other_writer,
};
use super::step::Step;
use super::take_up::{TakeUp, take_up};
use crate::api::OAuthClientSpec;
use crate::vendor::types::ClientId;

/// The next step towards what the spec declares, or `None` when there is nothing to do now.
#[must_use]
pub fn next(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    if facts.blocked.is_some() {
        return None;
    }
    if facts.secret != SecretFacts::Unread {
        return decide(spec, facts);
    }
    // The preflight's dry run meets a Secret that exists, so a new object needs no read before it.
    match decide(spec, facts) {
        Some(Step::Preflight) => Some(Step::Preflight),
        _ => Some(Step::ReadSecret),
    }
}

fn decide(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    if facts.deleting {
        return delete(spec, facts);
    }
    if lost_finalizer(facts) {
        return Some(Step::AddFinalizer);
    }
    match client(facts) {
        Some(id) => keep(spec, facts, id),
        None if facts.record == RecordedClient::Empty => create(spec, facts),
        None => adopt(spec, facts),
    }
}

fn create(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    let may_create = may_create(spec, facts);
    let retry_of = match &facts.attempt {
        None => None,
        Some(attempt) => match attempt.state {
            AttemptState::Unsent { in_time: true } if may_create => return Some(Step::Create),
            AttemptState::Abandoned | AttemptState::Unknown(_) => {
                if facts.adoption != AdoptionFact::None {
                    return adopt(spec, facts);
                }
                if !may_retry(facts, attempt) {
                    return None;
                }
                Some(attempt.id.clone())
            }
            AttemptState::InProgress
            | AttemptState::Unsent { .. }
            | AttemptState::NotCreated(_)
            | AttemptState::Created(_) => return None,
        },
    };
    // A Secret restored into a new namespace is adopted on its own proof, whether or not the spec names a client.
    if spec.adoption.is_some() || facts.adoption != AdoptionFact::None {
        return adopt(spec, facts);
    }
    if take_up(&facts.secret) != TakeUp::Absent || !may_create {
        return None;
    }
    Some(if !facts.preflight {
        Step::Preflight
    } else if !facts.finalizer {
        Step::AddFinalizer
    } else {
        Step::Claim { retry_of }
    })
}

fn adopt(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    let AdoptionFact::Proof { client, in_place } = &facts.adoption else {
        return None;
    };
    let secret_is_free =
        *in_place || facts.secret == SecretFacts::Absent || is_owned(&facts.secret);
    if !may_call_vendor(spec, facts) || facts.stopping || !secret_is_free {
        return None;
    }
    Some(if facts.finalizer {
        Step::Adopt(client.clone())
    } else {
        Step::AddFinalizer
    })
}

fn keep(spec: &OAuthClientSpec, facts: &Facts, id: ClientId) -> Option<Step> {
    if leaves_client_alone(facts) || is_recovering_from_hold(facts) {
        return None;
    }
    let found = match &facts.vendor {
        Vendor::Found(found) => Some(found),
        Vendor::NotAsked | Vendor::Missing | Vendor::Deactivated => None,
    };
    // The Secret first: with it the application works, and the client cannot be lost.
    if found.is_some_and(|found| found.credentials) && facts.secret.content() != Content::Current {
        let write = may_write_secret(facts, &id) && !facts.contested;
        return write.then_some(Step::WriteSecret(id));
    }
    if facts.restart {
        return Some(Step::RestartWorkloads);
    }
    if !may_call_vendor(spec, facts) {
        return None;
    }
    let Some(found) = found else {
        let verify = facts.vendor == Vendor::NotAsked
            && !is_settled(facts)
            && !waits_for_other_writer(facts)
            && !answer_is_unrecorded(facts);
        return verify.then_some(Step::Verify(id));
    };
    if !found.credentials && answer_is_unrecorded(facts) {
        return None;
    }
    if accepts_correction(spec, facts, found) {
        return Some(Step::Update(id, found.differs.clone()));
    }
    // Status must record the clientId before anything else happens to the client.
    match facts.record {
        RecordedClient::Bound(_) => rotate(spec, facts, id, found),
        RecordedClient::Empty | RecordedClient::Unverified | RecordedClient::KeyMissing => None,
    }
}

fn delete(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    if !facts.finalizer || attempt_may_answer(facts) || answer_is_unrecorded(facts) {
        return None;
    }
    if needs_no_deactivation(spec, facts) {
        return Some(if is_owned(&facts.secret) {
            Step::DisownSecret
        } else {
            Step::Release
        });
    }
    let Some(id) = client(facts) else {
        return match facts.record {
            RecordedClient::Unverified | RecordedClient::KeyMissing => None,
            RecordedClient::Empty | RecordedClient::Bound(_) => Some(Step::Release),
        };
    };
    if is_held_elsewhere(facts) {
        return Some(Step::Release);
    }
    match facts.vendor {
        Vendor::Deactivated | Vendor::Missing => Some(Step::Release),
        Vendor::NotAsked | Vendor::Found(_) => match facts.connection {
            ConnectionFacts::Usable | ConnectionFacts::Denied(_) => Some(Step::Deactivate(id)),
            ConnectionFacts::Unusable(..) => None,
        },
    }
}
