//! The decision. Read it from the top: an object is being deleted, or has a client, or is to get one.

use super::facts::{
    AdoptionFact, Attempt, AttemptState, AutoRetry, Binding, Conflict, ConnectionFacts, Content,
    Facts, Owner, RecordedClient, SecretFacts, Vendor,
};
use super::rotation::rotate;
use super::step::Step;
use super::take_up::{TakeUp, take_up};
use crate::api::{DeletionPolicy, DriftPolicy, OAuthClientSpec};
use crate::vendor::outcome::Ambiguity;
use crate::vendor::types::ClientId;

/// The next step towards what the spec declares, or `None` when there is nothing to do now.
#[must_use]
pub fn next(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    if facts.deleting {
        return delete(spec, facts);
    }
    // `kubectl replace` erases finalizers and leaves status alone.
    if !facts.finalizer && (facts.record != RecordedClient::Empty || facts.attempt.is_some()) {
        return Some(Step::AddFinalizer);
    }
    match client(facts) {
        Some(id) => keep(spec, facts, id),
        None if facts.record == RecordedClient::Empty => create(spec, facts),
        None => adopt(spec, facts),
    }
}

/// The client of an object: the one in status, else the one just answered, else the one its Secret carries, else the one
/// just adopted. A clientId without a valid binding is nobody's, until its secret proves it anew.
#[must_use]
pub fn client(facts: &Facts) -> Option<ClientId> {
    match &facts.record {
        RecordedClient::Bound(id) => return Some(id.clone()),
        RecordedClient::KeyMissing => return None,
        RecordedClient::Unverified => return adopted(facts),
        RecordedClient::Empty => {}
    }
    match facts.attempt.as_ref().map(|attempt| &attempt.state) {
        Some(AttemptState::Created(id)) => Some(id.clone()),
        // Whoever runs it will write the Secret itself; ours that made nothing has written none.
        Some(
            AttemptState::InProgress | AttemptState::Unsent { .. } | AttemptState::NotCreated(_),
        ) => None,
        None | Some(AttemptState::Abandoned | AttemptState::Unknown(_)) => {
            match take_up(&facts.secret) {
                TakeUp::Client(id) => Some(id),
                _ => adopted(facts),
            }
        }
    }
}

fn adopted(facts: &Facts) -> Option<ClientId> {
    match &facts.adoption {
        AdoptionFact::Proven { client, .. } => Some(client.clone()),
        _ => None,
    }
}

/// Whether the object has an attempt whose outcome nobody will learn any more.
#[must_use]
pub fn is_held(facts: &Facts) -> bool {
    let over = |attempt: &Attempt| {
        matches!(
            attempt.state,
            AttemptState::Abandoned | AttemptState::Unknown(_)
        )
    };
    facts.attempt.as_ref().is_some_and(over) && client(facts).is_none()
}

fn create(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    let may_begin = facts.connection == ConnectionFacts::Usable
        && !facts.breaker_open
        && !facts.stopping
        && !facts.rejected
        && !is_true(spec.suspend);
    let retry_of = match &facts.attempt {
        None => None,
        Some(attempt) => match attempt.state {
            AttemptState::Unsent { in_time: true } if may_begin => return Some(Step::Create),
            AttemptState::Abandoned | AttemptState::Unknown(_)
                if facts.adoption != AdoptionFact::None =>
            {
                return adopt(spec, facts);
            }
            AttemptState::Abandoned | AttemptState::Unknown(_)
                if may_be_tried_again(facts, attempt) =>
            {
                Some(attempt.id.clone())
            }
            _ => return None,
        },
    };
    if spec.adoption.is_some() {
        return adopt(spec, facts);
    }
    if take_up(&facts.secret) != TakeUp::Absent || !may_begin {
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

// A person names the attempt. The connection's policy is a decision for one more per object, so not for an attempt that is
// itself a second try; nor for an answer that was not new, since the vendor would give it again.
fn may_be_tried_again(facts: &Facts, attempt: &Attempt) -> bool {
    let by_policy = facts.auto_retry == AutoRetry::Due
        && attempt.retry_of.is_none()
        && attempt.state != AttemptState::Unknown(Ambiguity::ExistingClient);
    facts.retry.as_ref() == Some(&attempt.id) || by_policy
}

fn adopt(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    let AdoptionFact::Proof { client, in_place } = &facts.adoption else {
        return None;
    };
    let may_begin =
        facts.connection == ConnectionFacts::Usable && !facts.stopping && !is_true(spec.suspend);
    let free = *in_place || facts.secret == SecretFacts::Absent || is_ours(&facts.secret);
    if !may_begin || !free {
        return None;
    }
    Some(if facts.finalizer {
        Step::Adopt(client.clone())
    } else {
        Step::AddFinalizer
    })
}

fn keep(spec: &OAuthClientSpec, facts: &Facts, id: ClientId) -> Option<Step> {
    if facts.conflict == Conflict::WithOlder {
        return None;
    }
    let found = match &facts.vendor {
        Vendor::Found(found) => Some(found),
        _ => None,
    };
    if adopted_out_of_a_hold(facts) {
        return None;
    }
    // The Secret first: with it the application works, and the client is not lost.
    if found.is_some_and(|found| found.credentials) && facts.secret.content() != Content::Current {
        let write = writable(facts, &id) && !facts.contested;
        return write.then_some(Step::WriteSecret(id));
    }
    if facts.restart {
        return Some(Step::RestartWorkloads);
    }
    if facts.connection != ConnectionFacts::Usable || is_true(spec.suspend) {
        return None;
    }
    let Some(found) = found else {
        let asked = facts.vendor != Vendor::NotAsked;
        let rotating = facts.rotation.asked.is_some() || facts.rotation.open.is_some();
        let current = facts.secret.content() == Content::Current;
        let settled = facts.ready && !facts.due && !rotating && current;
        // What the other writer does next is no reason to ask the vendor.
        let told = facts.contested && !facts.ready && !facts.due && !rotating;
        return (!asked && !settled && !told && !unrecorded_answer(facts))
            .then_some(Step::Verify(id));
    };
    if !found.credentials && unrecorded_answer(facts) {
        return None;
    }
    let news = found
        .differs
        .iter()
        .any(|field| !facts.not_applied.contains(field));
    let may_correct =
        spec.drift_policy == DriftPolicy::Correct && !facts.rejected && !found.updated;
    if news && may_correct {
        return Some(Step::Update(id, found.differs.clone()));
    }
    // An id that status does not record yet is recorded first.
    let recorded = matches!(facts.record, RecordedClient::Bound(_));
    recorded.then(|| rotate(spec, facts, id, found)).flatten()
}

fn delete(spec: &OAuthClientSpec, facts: &Facts) -> Option<Step> {
    // An attempt that may still run will come back with an answer, which the finalizer keeps a place for.
    let may_run = |attempt: &Attempt| attempt.state == AttemptState::InProgress;
    if !facts.finalizer || facts.attempt.as_ref().is_some_and(may_run) || unrecorded_answer(facts) {
        return None;
    }
    // Nobody who deletes the definition means to disable every client.
    if spec.deletion_policy == DeletionPolicy::Retain || facts.definition_going {
        return Some(if is_ours(&facts.secret) {
            Step::DisownSecret
        } else {
            Step::Release
        });
    }
    match (client(facts), &facts.record) {
        (None, RecordedClient::Unverified | RecordedClient::KeyMissing) => None,
        (None, _) => Some(Step::Release),
        // Somebody else keeps it.
        (Some(_), _) if facts.conflict != Conflict::None => Some(Step::Release),
        (Some(_), _) if matches!(facts.vendor, Vendor::Deactivated | Vendor::Missing) => {
            Some(Step::Release)
        }
        (Some(id), _) => match facts.connection {
            ConnectionFacts::Usable | ConnectionFacts::Denied(_) => Some(Step::Deactivate(id)),
            ConnectionFacts::Unusable(..) => None,
        },
    }
}

// Until status has it, the clientId of a fresh answer stands in memory and the log only: status comes before all else.
fn unrecorded_answer(facts: &Facts) -> bool {
    let created = |attempt: &Attempt| matches!(attempt.state, AttemptState::Created(_));
    facts.record == RecordedClient::Empty && facts.attempt.as_ref().is_some_and(created)
}

/// The answer that an attempt was held for may come after all and be recorded. Status decides between the two, by its
/// resourceVersion, so it comes before the Secret, which could not.
pub(super) fn adopted_out_of_a_hold(facts: &Facts) -> bool {
    facts.record == RecordedClient::Empty
        && facts.attempt.is_some()
        && adopted(facts) == client(facts)
}

fn is_ours(secret: &SecretFacts) -> bool {
    matches!(
        secret,
        SecretFacts::Present {
            owner: Owner::This,
            ..
        }
    )
}

/// A Secret is written only if its controller owner is this object, or it has none and is bound to this very client, or
/// was named by the adoption that has just been proven.
fn writable(facts: &Facts, id: &ClientId) -> bool {
    let taken_over = matches!(facts.adoption, AdoptionFact::Proven { in_place: true, .. });
    match &facts.secret {
        SecretFacts::Absent => true,
        SecretFacts::Present {
            owner: Owner::This, ..
        } => true,
        SecretFacts::Present {
            owner: Owner::None,
            binding: Binding::Valid(bound),
            ..
        } => bound == id,
        SecretFacts::Present {
            owner: Owner::None, ..
        } => taken_over,
        SecretFacts::Present { .. } => false,
    }
}

pub(super) fn is_true(flag: Option<bool>) -> bool {
    flag == Some(true)
}
