//! What status says at the end of a pass: one function, so that every message can be read in one place.

mod bound;
mod deleting;
mod unbound;

use std::time::Duration;

use self::bound::bound;
pub use self::bound::{NOT_APPLIED, not_rotated};
use self::deleting::deleting;
use self::unbound::unbound;

use super::facts::{
    AdoptionFact, Conflict, ConnectionFacts, Content, Facts, RecordedClient, Vendor,
};
use super::next::client;
use crate::api::{ConditionStatus, OAuthClientSpec, Reason};

/// When the object is looked at again, if nothing about it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// At once: the pass stopped to record something.
    Now,
    /// With this object's backoff.
    Backoff,
    /// Not before this long.
    After(Duration),
    /// When another process's attempt cannot be under way any more.
    AttemptOver,
    /// When a rotation that was not answered cannot be carried out any more.
    RotationOver,
    /// At the next scheduled verification.
    Verification,
}

/// Why a step could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// What `Ready` becomes: `False`, or `Unknown` where the vendor's answer cannot be believed.
    pub ready: ConditionStatus,
    /// Shared by condition, event and metric.
    pub reason: Reason,
    /// What happened and what to do, for people.
    pub message: String,
    /// When to try again.
    pub retry: Requeue,
}

/// Words of one object that messages need.
#[derive(Clone, Copy, Debug)]
pub struct MessageContext<'a> {
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// Name of its Secret.
    pub secret: &'a str,
    /// Name the client has at the vendor.
    pub vendor_name: &'a str,
    /// When the open attempt began, as text.
    pub attempt_time: &'a str,
}

/// A condition's status, reason and message.
pub type ConditionUpdate = (ConditionStatus, Reason, String);

/// The outcome of a pass. A condition that is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The summary.
    pub ready: Option<ConditionUpdate>,
    /// Whether the vendor's client equals the spec.
    pub synced: Option<ConditionUpdate>,
    /// Whether the Secret holds the credentials.
    pub secret_ready: Option<ConditionUpdate>,
    /// When to look again.
    pub retry: Requeue,
}

/// Whether only a person can end this reason: the `Stalled` condition.
#[must_use]
pub fn needs_a_person(reason: Reason) -> bool {
    reason.needs_action()
}

/// Tells what a pass found. Pure: equal facts give equal words, so that a settled object is never written.
#[must_use]
pub fn report(
    spec: &OAuthClientSpec,
    facts: &Facts,
    blocked: Option<&Blocked>,
    texts: MessageContext<'_>,
) -> Report {
    match blocked {
        _ if facts.deleting => deleting(facts, blocked, texts),
        Some(blocked) => stopped(facts, blocked),
        None => standing(spec, facts, texts),
    }
}

fn only(reason: Reason, message: impl Into<String>, retry: Requeue) -> Report {
    Report {
        ready: Some((ConditionStatus::False, reason, message.into())),
        synced: None,
        secret_ready: None,
        retry,
    }
}

fn unchanged(retry: Requeue) -> Report {
    Report {
        ready: None,
        synced: None,
        secret_ready: None,
        retry,
    }
}

fn stopped(facts: &Facts, blocked: &Blocked) -> Report {
    let passing = matches!(
        blocked.reason,
        Reason::VendorUnavailable | Reason::VendorThrottled | Reason::ConnectionNotReady
    );
    // Nothing is pending for a client that is as declared: an outage is the connection's to tell.
    if passing
        && blocked.ready == ConditionStatus::False
        && facts.ready
        && facts.secret.content() == Content::Current
        && !matches!(&facts.vendor, Vendor::Found(found) if !found.differs.is_empty())
    {
        return unchanged(blocked.retry);
    }
    let told = (blocked.ready, blocked.reason, blocked.message.clone());
    let mut report = Report {
        ready: Some(told.clone()),
        ..unchanged(blocked.retry)
    };
    match blocked.reason {
        Reason::SecretConflict | Reason::SecretWriteDenied | Reason::SecretImmutable => {
            report.secret_ready = Some(told);
        }
        Reason::SpecRejected | Reason::UpdateNotApplied => report.synced = Some(told),
        _ => {}
    }
    report
}

const MISMATCH: &str =
    "The clientId was not recorded by this operator for this object: its binding does not hold";
const KEY_MISSING: &str = "The operator's binding key is missing, so no recorded clientId can be trusted. Restore its Secret from the backup";

fn standing(spec: &OAuthClientSpec, facts: &Facts, texts: MessageContext<'_>) -> Report {
    match facts.record {
        RecordedClient::Unverified if client(facts).is_none() => {
            if let AdoptionFact::Refused(reason, message) = &facts.adoption {
                return only(*reason, message.clone(), Requeue::Backoff);
            }
            let step = "Restore the object and its Secret from one backup, prove the client by its secret in spec.adoption, or remove \
                        status.clientId with kubectl edit --subresource=status";
            return only(
                Reason::BindingMismatch,
                format!("status.clientId: {MISMATCH}. {step}"),
                Requeue::Verification,
            );
        }
        RecordedClient::KeyMissing => {
            return only(Reason::BindingKeyMissing, KEY_MISSING, Requeue::Backoff);
        }
        RecordedClient::Bound(_) | RecordedClient::Empty | RecordedClient::Unverified => {}
    }
    if client(facts).is_some() && facts.conflict == Conflict::WithOlder {
        let message = "Another, older OAuthClient has this client, so this one does nothing. Delete one of the two; the client at the \
                       vendor stays active for the other";
        return only(Reason::ClientInUse, message, Requeue::Verification);
    }
    if client(facts).is_some() {
        return bound(spec, facts, texts);
    }
    unbound(spec, facts, texts)
}

fn unusable(facts: &Facts) -> Option<Report> {
    match &facts.connection {
        ConnectionFacts::Usable => None,
        ConnectionFacts::Denied(message) => Some(only(
            Reason::AccessDenied,
            message.clone(),
            Requeue::Verification,
        )),
        ConnectionFacts::Unusable(reason, message) => {
            Some(only(*reason, message.clone(), Requeue::Backoff))
        }
    }
}

fn conflict(texts: MessageContext<'_>) -> Report {
    // A stranger's Secret has no label of ours, so no watch tells when it is gone.
    in_conflict(conflict_message(texts.secret), Requeue::Backoff)
}

fn in_conflict(message: String, retry: Requeue) -> Report {
    let report = only(Reason::SecretConflict, message, retry);
    Report {
        secret_ready: report.ready.clone(),
        ..report
    }
}

/// What a user is told whose Secret's name is taken. The name is immutable, so another one needs another object.
#[must_use]
pub fn conflict_message(secret: &str) -> String {
    format!(
        "spec.secret.name: the Secret {secret} exists and is not this object's; it is left as it is. Delete it, or delete \
         this OAuthClient and declare it anew with another spec.secret.name"
    )
}
