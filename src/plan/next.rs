//! The decision. Read it from the top: an object is being deleted, or has a client, or is to get one.

use super::rotation::rotate;
use super::seen::{
    Adoption, Attempt, AutoRetry, Binding, Connection, Content, Known, Owner, Record, Rival,
    SecretSeen, Seen, Vendor,
};
use super::step::Step;
use super::take_up::{TakeUp, take_up};
use crate::api::{DeletionPolicy, DriftPolicy, OAuthClientSpec};
use crate::provident::outcome::Doubt;
use crate::provident::types::ClientId;

/// The next step towards what the spec declares, or `None` when there is nothing to do now.
#[must_use]
pub fn next(spec: &OAuthClientSpec, seen: &Seen) -> Option<Step> {
    if seen.deleting {
        return delete(spec, seen);
    }
    // `kubectl replace` erases finalizers and leaves status alone.
    if !seen.finalizer && (seen.record != Record::Empty || seen.attempt.is_some()) {
        return Some(Step::AddFinalizer);
    }
    match client(seen) {
        Some(id) => keep(spec, seen, id),
        None if seen.record == Record::Empty => create(spec, seen),
        None => adopt(spec, seen),
    }
}

/// The client of an object: the one in status, else the one just answered, else the one its Secret carries, else the one
/// just adopted. A clientId without a valid binding is nobody's, until its secret proves it anew.
#[must_use]
pub fn client(seen: &Seen) -> Option<ClientId> {
    match &seen.record {
        Record::Bound(id) => return Some(id.clone()),
        Record::KeyMissing => return None,
        Record::Unproven => return adopted(seen),
        Record::Empty => {}
    }
    match seen.attempt.as_ref().map(|attempt| &attempt.known) {
        Some(Known::Created(id)) => Some(id.clone()),
        // Whoever runs it will write the Secret itself; ours that made nothing has written none.
        Some(Known::MayRun | Known::Unsent { .. } | Known::NotCreated(_)) => None,
        None | Some(Known::Over | Known::Unknown(_)) => match take_up(&seen.secret) {
            TakeUp::Client(id) => Some(id),
            _ => adopted(seen),
        },
    }
}

fn adopted(seen: &Seen) -> Option<ClientId> {
    match &seen.adoption {
        Adoption::Proven { client, .. } => Some(client.clone()),
        _ => None,
    }
}

/// Whether the object has an attempt whose outcome nobody will learn any more.
#[must_use]
pub fn is_held(seen: &Seen) -> bool {
    let over = |attempt: &Attempt| matches!(attempt.known, Known::Over | Known::Unknown(_));
    seen.attempt.as_ref().is_some_and(over) && client(seen).is_none()
}

fn create(spec: &OAuthClientSpec, seen: &Seen) -> Option<Step> {
    let may_begin = seen.connection == Connection::Usable
        && !seen.breaker_open
        && !seen.stopping
        && !seen.rejected
        && !is_true(spec.suspend);
    let retry_of = match &seen.attempt {
        None => None,
        Some(attempt) => match attempt.known {
            Known::Unsent { in_time: true } if may_begin => return Some(Step::Create),
            Known::Over | Known::Unknown(_) if seen.adoption != Adoption::None => {
                return adopt(spec, seen);
            }
            Known::Over | Known::Unknown(_) if may_be_tried_again(seen, attempt) => {
                Some(attempt.id.clone())
            }
            _ => return None,
        },
    };
    if spec.adoption.is_some() {
        return adopt(spec, seen);
    }
    if take_up(&seen.secret) != TakeUp::Absent || !may_begin {
        return None;
    }
    Some(if !seen.preflight {
        Step::Preflight
    } else if !seen.finalizer {
        Step::AddFinalizer
    } else {
        Step::Claim { retry_of }
    })
}

// A person names the attempt. The connection's policy is a decision for one more per object, so not for an attempt that is
// itself a second try; nor for an answer that was not new, since the vendor would give it again.
fn may_be_tried_again(seen: &Seen, attempt: &Attempt) -> bool {
    let by_policy = seen.auto_retry == AutoRetry::Due
        && attempt.retry_of.is_none()
        && attempt.known != Known::Unknown(Doubt::NotNew);
    seen.retry.as_ref() == Some(&attempt.id) || by_policy
}

fn adopt(spec: &OAuthClientSpec, seen: &Seen) -> Option<Step> {
    let Adoption::Proof { client, in_place } = &seen.adoption else {
        return None;
    };
    let may_begin =
        seen.connection == Connection::Usable && !seen.stopping && !is_true(spec.suspend);
    let free = *in_place || seen.secret == SecretSeen::Absent || is_ours(&seen.secret);
    if !may_begin || !free {
        return None;
    }
    Some(if seen.finalizer {
        Step::Adopt(client.clone())
    } else {
        Step::AddFinalizer
    })
}

fn keep(spec: &OAuthClientSpec, seen: &Seen, id: ClientId) -> Option<Step> {
    if seen.rival == Rival::Older {
        return None;
    }
    let found = match &seen.vendor {
        Vendor::Found(found) => Some(found),
        _ => None,
    };
    if adopted_out_of_a_hold(seen) {
        return None;
    }
    // The Secret first: with it the application works, and the client is not lost.
    if found.is_some_and(|found| found.credentials) && seen.secret.content() != Content::Current {
        let write = writable(seen, &id) && !seen.contested;
        return write.then_some(Step::WriteSecret(id));
    }
    if seen.restart {
        return Some(Step::RestartWorkloads);
    }
    if seen.connection != Connection::Usable || is_true(spec.suspend) {
        return None;
    }
    let Some(found) = found else {
        let asked = seen.vendor != Vendor::NotAsked;
        let rotating = seen.rotation.asked.is_some() || seen.rotation.open.is_some();
        let current = seen.secret.content() == Content::Current;
        let settled = seen.ready && !seen.due && !rotating && current;
        // What the other writer does next is no reason to ask the vendor.
        let told = seen.contested && !seen.ready && !seen.due && !rotating;
        return (!asked && !settled && !told && !unrecorded_answer(seen))
            .then_some(Step::Verify(id));
    };
    if !found.credentials && unrecorded_answer(seen) {
        return None;
    }
    let news = found
        .differs
        .iter()
        .any(|field| !seen.not_applied.contains(field));
    let may_correct = spec.drift_policy == DriftPolicy::Correct && !seen.rejected && !found.updated;
    if news && may_correct {
        return Some(Step::Update(id, found.differs.clone()));
    }
    // An id that status does not record yet is recorded first.
    let recorded = matches!(seen.record, Record::Bound(_));
    recorded.then(|| rotate(spec, seen, id, found)).flatten()
}

fn delete(spec: &OAuthClientSpec, seen: &Seen) -> Option<Step> {
    // An attempt that may still run will come back with an answer, which the finalizer keeps a place for.
    let may_run = |attempt: &Attempt| attempt.known == Known::MayRun;
    if !seen.finalizer || seen.attempt.as_ref().is_some_and(may_run) || unrecorded_answer(seen) {
        return None;
    }
    // Nobody who deletes the definition means to disable every client.
    if spec.deletion_policy == DeletionPolicy::Retain || seen.definition_going {
        return Some(if is_ours(&seen.secret) {
            Step::DisownSecret
        } else {
            Step::Release
        });
    }
    match (client(seen), &seen.record) {
        (None, Record::Unproven | Record::KeyMissing) => None,
        (None, _) => Some(Step::Release),
        // Somebody else keeps it.
        (Some(_), _) if seen.rival != Rival::None => Some(Step::Release),
        (Some(_), _) if matches!(seen.vendor, Vendor::Deactivated | Vendor::Missing) => {
            Some(Step::Release)
        }
        (Some(id), _) => match seen.connection {
            Connection::Usable | Connection::Denied(_) => Some(Step::Deactivate(id)),
            Connection::Unusable(..) => None,
        },
    }
}

// Until status has it, the clientId of a fresh answer stands in memory and the log only: status comes before all else.
fn unrecorded_answer(seen: &Seen) -> bool {
    let created = |attempt: &Attempt| matches!(attempt.known, Known::Created(_));
    seen.record == Record::Empty && seen.attempt.as_ref().is_some_and(created)
}

/// The answer that an attempt was held for may come after all and be recorded. Status decides between the two, by its
/// resourceVersion, so it comes before the Secret, which could not.
pub(super) fn adopted_out_of_a_hold(seen: &Seen) -> bool {
    seen.record == Record::Empty && seen.attempt.is_some() && adopted(seen) == client(seen)
}

fn is_ours(secret: &SecretSeen) -> bool {
    matches!(
        secret,
        SecretSeen::Present {
            owner: Owner::This,
            ..
        }
    )
}

/// A Secret is written only if its controller owner is this object, or it has none and is bound to this very client, or
/// was named by the adoption that has just been proven.
fn writable(seen: &Seen, id: &ClientId) -> bool {
    let taken_over = matches!(seen.adoption, Adoption::Proven { in_place: true, .. });
    match &seen.secret {
        SecretSeen::Absent => true,
        SecretSeen::Present {
            owner: Owner::This, ..
        } => true,
        SecretSeen::Present {
            owner: Owner::None,
            binding: Binding::Valid(bound),
            ..
        } => bound == id,
        SecretSeen::Present {
            owner: Owner::None, ..
        } => taken_over,
        SecretSeen::Present { .. } => false,
    }
}

pub(super) fn is_true(flag: Option<bool>) -> bool {
    flag == Some(true)
}
