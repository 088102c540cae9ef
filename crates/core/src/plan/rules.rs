//! The rules of [`super::next`], each a predicate over the facts. `docs/design.md` says which failure each prevents.

use super::facts::{
    AdoptionFact, Attempt, AttemptState, AutoRetry, Binding, Conflict, ConnectionFacts, Content,
    Facts, Found, Owner, RecordedClient, SecretFacts, Vendor,
};
use super::take_up::{TakeUp, take_up};
use crate::api::{DeletionPolicy, DriftPolicy, OAuthClientSpec};
use crate::vendor::outcome::Ambiguity;
use crate::vendor::types::ClientId;

/// The client of an object: the one in status, else the one just created, else the one its Secret carries, else the one
/// just adopted. A clientId without a valid binding is not trusted until its secret is verified.
#[must_use]
pub fn client(facts: &Facts) -> Option<ClientId> {
    match &facts.record {
        RecordedClient::Bound(id) => return Some(id.clone()),
        RecordedClient::KeyMissing => return None,
        RecordedClient::Unverified => return adopted(facts),
        RecordedClient::Empty => {}
    }
    match facts.attempt.as_ref().map(|attempt| &attempt.state) {
        // A Secret that is validly bound to another client appeared during the create: the older client is taken up, and the
        // new one is orphaned.
        Some(AttemptState::Created(id)) => match take_up(&facts.secret) {
            TakeUp::Client(older) if older != *id => None,
            TakeUp::Client(_)
            | TakeUp::Absent
            | TakeUp::Mismatch
            | TakeUp::Unproven(_)
            | TakeUp::Former
            | TakeUp::Stranger => Some(id.clone()),
        },
        // Whoever runs the attempt will write the Secret.
        Some(AttemptState::InProgress) => None,
        // An attempt that created nothing is dropped first, except in a deletion, which status does not outlive.
        Some(AttemptState::Unsent { .. } | AttemptState::NotCreated(_)) if !facts.deleting => None,
        None
        | Some(
            AttemptState::Abandoned
            | AttemptState::Unknown(_)
            | AttemptState::Unsent { .. }
            | AttemptState::NotCreated(_),
        ) => match take_up(&facts.secret) {
            TakeUp::Client(id) => Some(id),
            TakeUp::Absent
            | TakeUp::Mismatch
            | TakeUp::Unproven(_)
            | TakeUp::Former
            | TakeUp::Stranger => adopted(facts),
        },
    }
}

fn adopted(facts: &Facts) -> Option<ClientId> {
    match &facts.adoption {
        AdoptionFact::Proven { client, .. } => Some(client.clone()),
        AdoptionFact::None | AdoptionFact::Refused(..) | AdoptionFact::Proof { .. } => None,
    }
}

/// The object has no client, and an attempt whose outcome cannot be learned: only a person, or the policy, may decide.
#[must_use]
pub fn is_held(facts: &Facts) -> bool {
    let unknown = |attempt: &Attempt| attempt.state.is_unknown();
    facts.attempt.as_ref().is_some_and(unknown) && client(facts).is_none()
}

/// An existing client may be adopted now: no client is known, no attempt may still create one, and the connection works.
#[must_use]
pub fn may_look_for_adoption(facts: &Facts) -> bool {
    let unrecorded = match facts.record {
        RecordedClient::Empty | RecordedClient::Unverified => true,
        RecordedClient::Bound(_) | RecordedClient::KeyMissing => false,
    };
    let running = |attempt: &Attempt| !attempt.state.is_unknown();
    unrecorded
        && !facts.deleting
        && client(facts).is_none()
        && facts.connection == ConnectionFacts::Usable
        && !facts.attempt.as_ref().is_some_and(running)
}

/// An in-place adoption is recorded, but the Secret that proved it is not taken over yet. `adopts_in_place` says that the
/// spec still names that Secret and this client.
#[must_use]
pub fn must_finish_adoption_in_place(facts: &Facts, adopts_in_place: bool) -> bool {
    let unowned = matches!(
        facts.secret,
        SecretFacts::Present {
            owner: Owner::None,
            binding: Binding::Missing,
            ..
        }
    );
    adopts_in_place && unowned && !facts.deleting
}

/// The object has a client or an attempt but lost our finalizer: `kubectl replace` erases finalizers and leaves status.
pub(super) fn lost_finalizer(facts: &Facts) -> bool {
    !facts.finalizer && (facts.record != RecordedClient::Empty || facts.attempt.is_some())
}

/// The spec suspends the object.
pub(super) fn is_suspended(spec: &OAuthClientSpec) -> bool {
    spec.suspend == Some(true)
}

/// Vendor requests are allowed.
pub(super) fn may_call_vendor(spec: &OAuthClientSpec, facts: &Facts) -> bool {
    facts.connection == ConnectionFacts::Usable && !is_suspended(spec)
}

/// A create may be prepared or sent.
pub(super) fn may_create(spec: &OAuthClientSpec, facts: &Facts) -> bool {
    may_call_vendor(spec, facts) && !facts.breaker_open && !facts.stopping && !facts.rejected
}

/// A held attempt may be retried: a person names it, or the connection's policy allows one retry per object. The policy
/// covers neither a retry nor an answer with an existing client, since the vendor would return that client again.
pub(super) fn may_retry(facts: &Facts, attempt: &Attempt) -> bool {
    let by_policy = facts.auto_retry == AutoRetry::Due
        && attempt.retry_of.is_none()
        && attempt.state != AttemptState::Unknown(Ambiguity::ExistingClient);
    is_retry_requested(facts, attempt) || by_policy
}

/// A person allows this attempt to be repeated once.
pub(super) fn is_retry_requested(facts: &Facts, attempt: &Attempt) -> bool {
    facts.retry.as_ref() == Some(&attempt.id)
}

/// An older object has the same client, so this one does nothing.
pub(super) fn leaves_client_alone(facts: &Facts) -> bool {
    facts.conflict == Conflict::WithOlder
}

/// Another object has the same client, so this one must not deactivate it.
pub(super) fn is_held_elsewhere(facts: &Facts) -> bool {
    facts.conflict != Conflict::None
}

/// A client was adopted while an attempt is held. The attempt's answer may still arrive and be recorded; status, guarded by
/// its resourceVersion, decides between the two, so it is written before the Secret.
pub(super) fn is_recovering_from_hold(facts: &Facts) -> bool {
    facts.record == RecordedClient::Empty
        && facts.attempt.is_some()
        && adopted(facts) == client(facts)
}

/// Until status records it, the clientId of a new client is only in memory and in the log: status comes before all else.
pub(super) fn answer_is_unrecorded(facts: &Facts) -> bool {
    let created = |attempt: &Attempt| matches!(attempt.state, AttemptState::Created(_));
    facts.record == RecordedClient::Empty && facts.attempt.as_ref().is_some_and(created)
}

/// Another process's attempt may still be answered. The finalizer keeps a place for that answer.
pub(super) fn attempt_may_answer(facts: &Facts) -> bool {
    let running = |attempt: &Attempt| attempt.state == AttemptState::InProgress;
    facts.attempt.as_ref().is_some_and(running)
}

/// Nothing is due, so the vendor is not asked.
pub(super) fn is_settled(facts: &Facts) -> bool {
    facts.ready
        && !facts.updated
        && !needs_verification(facts)
        && facts.secret.content() == Content::Current
}

/// Another writer keeps overwriting the Secret, and status says so: what it does next is no reason to ask the vendor.
pub(super) fn waits_for_other_writer(facts: &Facts) -> bool {
    facts.contested && !facts.ready && !needs_verification(facts)
}

fn needs_verification(facts: &Facts) -> bool {
    facts.due || facts.rotation.requested.is_some() || facts.rotation.open.is_some()
}

/// The vendor's client differs in a field that an update has not failed to change, and the policy says to correct it.
pub(super) fn accepts_correction(spec: &OAuthClientSpec, facts: &Facts, found: &Found) -> bool {
    let has_new_difference = found
        .differs
        .iter()
        .any(|field| !facts.not_applied.contains(field));
    has_new_difference
        && spec.drift_policy == DriftPolicy::Correct
        && !facts.rejected
        && !facts.updated
}

/// A Secret is written only if its controller owner is this object, if it has none and is bound to this very client, or if
/// the adoption just proven names it.
pub(super) fn may_write_secret(facts: &Facts, id: &ClientId) -> bool {
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
        } => matches!(facts.adoption, AdoptionFact::Proven { in_place: true, .. }),
        SecretFacts::Unread
        | SecretFacts::Present {
            owner: Owner::Former | Owner::Other,
            ..
        } => false,
    }
}

/// The Secret's controller owner is this object.
pub(super) fn is_owned(secret: &SecretFacts) -> bool {
    matches!(
        secret,
        SecretFacts::Present {
            owner: Owner::This,
            ..
        }
    )
}

/// The client stays active after deletion: by policy, because the CRD is being deleted, which must not deactivate every client,
/// or because its Secret outlives the object.
pub(super) fn needs_no_deactivation(spec: &OAuthClientSpec, facts: &Facts) -> bool {
    spec.deletion_policy == DeletionPolicy::Retain || facts.crd_terminating || is_orphaning(facts)
}

/// The Secret of an object that is being deleted has no controller owner any more: `kubectl delete --cascade=orphan` took it
/// away. The credentials in that Secret must keep working.
#[must_use]
pub fn is_orphaning(facts: &Facts) -> bool {
    let SecretFacts::Present {
        owner: Owner::None,
        binding: Binding::Valid(bound),
        ..
    } = &facts.secret
    else {
        return false;
    };
    facts.deleting && client(facts).as_ref() == Some(bound)
}

/// The vendor was asked about the client in this reconcile.
#[must_use]
pub fn was_verified(facts: &Facts) -> bool {
    match facts.vendor {
        Vendor::Found(_) | Vendor::Missing => true,
        Vendor::NotAsked | Vendor::Deactivated => false,
    }
}
