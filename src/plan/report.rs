//! What status says at the end of a pass: one function, so that every message can be read in one place.

mod absent;
mod deleting;
mod kept;

use std::time::Duration;

use self::absent::absent;
use self::deleting::deleting;
use self::kept::kept;
pub use self::kept::{NOT_APPLIED, not_rotated};

use super::next::client;
use super::seen::{Adoption, Connection, Content, Record, Rival, Seen, Vendor};
use crate::api::{ConditionStatus, OAuthClientSpec, Reason};

/// When the object is looked at again, if nothing about it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
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
pub struct Stop {
    /// What `Ready` becomes: `False`, or `Unknown` where the vendor's answer cannot be believed.
    pub ready: ConditionStatus,
    /// Shared by condition, event and metric.
    pub reason: Reason,
    /// What happened and what to do, for people.
    pub message: String,
    /// When to try again.
    pub retry: Retry,
}

/// Words of one object that messages need.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
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
pub type Told = (ConditionStatus, Reason, String);

/// The outcome of a pass. A condition that is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The summary.
    pub ready: Option<Told>,
    /// Whether the vendor's client equals the spec.
    pub synced: Option<Told>,
    /// Whether the Secret holds the credentials.
    pub secret_ready: Option<Told>,
    /// When to look again.
    pub retry: Retry,
}

/// Whether only a person can end this reason: the `Stalled` condition.
#[must_use]
pub fn needs_a_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AccessDenied
            | Reason::SecretConflict
            | Reason::SecretImmutable
            | Reason::Unreadable
            | Reason::SpecRejected
            | Reason::CreateOutcomeUnknown
            | Reason::AnswerNotNew
            | Reason::AdoptionRejected
            | Reason::BindingMismatch
            | Reason::BindingKeyMissing
            | Reason::ClientInUse
            | Reason::ClientMissing
            | Reason::DeactivatedAtVendor
            | Reason::NotApplied
    )
}

/// Tells what a pass found. Pure: equal facts give equal words, so that a settled object is never written.
#[must_use]
pub fn report(
    spec: &OAuthClientSpec,
    seen: &Seen,
    stop: Option<&Stop>,
    texts: Texts<'_>,
) -> Report {
    match stop {
        _ if seen.deleting => deleting(seen, stop, texts),
        Some(stop) => stopped(seen, stop),
        None => standing(spec, seen, texts),
    }
}

fn only(reason: Reason, message: impl Into<String>, retry: Retry) -> Report {
    Report {
        ready: Some((ConditionStatus::False, reason, message.into())),
        synced: None,
        secret_ready: None,
        retry,
    }
}

fn unchanged(retry: Retry) -> Report {
    Report {
        ready: None,
        synced: None,
        secret_ready: None,
        retry,
    }
}

fn stopped(seen: &Seen, stop: &Stop) -> Report {
    let passing = matches!(
        stop.reason,
        Reason::VendorUnavailable | Reason::VendorThrottled | Reason::ConnectionNotReady
    );
    // Nothing is pending for a client that is as declared: an outage is the connection's to tell.
    if passing
        && stop.ready == ConditionStatus::False
        && seen.ready
        && seen.secret.content() == Content::Current
        && !matches!(&seen.vendor, Vendor::Found(found) if !found.differs.is_empty())
    {
        return unchanged(stop.retry);
    }
    let told = (stop.ready, stop.reason, stop.message.clone());
    let mut report = Report {
        ready: Some(told.clone()),
        ..unchanged(stop.retry)
    };
    match stop.reason {
        Reason::SecretConflict | Reason::SecretWriteDenied | Reason::SecretImmutable => {
            report.secret_ready = Some(told);
        }
        Reason::SpecRejected | Reason::NotApplied => report.synced = Some(told),
        _ => {}
    }
    report
}

const MISMATCH: &str =
    "The clientId was not recorded by this operator for this object: its binding does not hold";
const KEY_MISSING: &str = "The operator's binding key is missing, so no recorded clientId can be trusted. Restore its Secret from the backup";

fn standing(spec: &OAuthClientSpec, seen: &Seen, texts: Texts<'_>) -> Report {
    match seen.record {
        Record::Unproven if client(seen).is_none() => {
            if let Adoption::Refused(reason, message) = &seen.adoption {
                return only(*reason, message.clone(), Retry::Backoff);
            }
            let step = "Restore the object and its Secret from one backup, prove the client by its secret in spec.adoption, or remove \
                        status.clientId with kubectl edit --subresource=status";
            return only(
                Reason::BindingMismatch,
                format!("status.clientId: {MISMATCH}. {step}"),
                Retry::Verification,
            );
        }
        Record::KeyMissing => return only(Reason::BindingKeyMissing, KEY_MISSING, Retry::Backoff),
        Record::Bound(_) | Record::Empty | Record::Unproven => {}
    }
    if client(seen).is_some() && seen.rival == Rival::Older {
        let message = "Another, older OAuthClient has this client, so this one does nothing. Delete one of the two; the client at the \
                       vendor stays active for the other";
        return only(Reason::ClientInUse, message, Retry::Verification);
    }
    if client(seen).is_some() {
        return kept(spec, seen, texts);
    }
    absent(spec, seen, texts)
}

fn unusable(seen: &Seen) -> Option<Report> {
    match &seen.connection {
        Connection::Usable => None,
        Connection::Denied(message) => Some(only(
            Reason::AccessDenied,
            message.clone(),
            Retry::Verification,
        )),
        Connection::Unusable(reason, message) => {
            Some(only(*reason, message.clone(), Retry::Backoff))
        }
    }
}

fn conflict(texts: Texts<'_>) -> Report {
    // A stranger's Secret has no label of ours, so no watch tells when it is gone.
    in_conflict(conflict_message(texts.secret), Retry::Backoff)
}

fn in_conflict(message: String, retry: Retry) -> Report {
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
