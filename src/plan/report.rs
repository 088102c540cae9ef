//! What status says at the end of a pass: one function, so that every message can be read in one place.

mod deleting;
mod kept;

use std::time::Duration;

use self::deleting::deleting;
pub use self::kept::NOT_APPLIED;
use self::kept::kept;

use super::next::{client, is_held};
use super::seen::{
    AutoRetry, Connection, Content, Known, Record, SecretSeen, Seen, TakeUp, take_up,
};
use crate::api::{ConditionStatus, OAuthClientSpec, Reason};
use crate::provident::outcome::Doubt;

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
        && secret_content(seen) == Content::Current
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
        Record::Unproven => {
            let step =
                "Remove status.clientId, or restore the object and its Secret from one backup";
            return only(
                Reason::BindingMismatch,
                format!("status.clientId: {MISMATCH}. {step}"),
                Retry::Verification,
            );
        }
        Record::KeyMissing => return only(Reason::BindingKeyMissing, KEY_MISSING, Retry::Backoff),
        Record::Bound(_) | Record::Empty => {}
    }
    if client(seen).is_some() {
        return kept(spec, seen, texts);
    }
    if is_held(seen) && !retry_asked(seen) {
        return held(seen, texts);
    }
    if seen
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.known == Known::MayRun)
    {
        return unchanged(Retry::AttemptOver);
    }
    match take_up(&seen.secret) {
        TakeUp::Mismatch => {
            let message = format!(
                "spec.secret.name: the Secret {} carries a client that was not recorded for this object. \
                 Delete that Secret, or delete this OAuthClient and declare it anew with another spec.secret.name",
                texts.secret
            );
            return only(Reason::BindingMismatch, message, Retry::Backoff);
        }
        TakeUp::Stranger => return conflict(texts),
        TakeUp::Former => {
            let message = format!(
                "Waiting for the Secret {} of a former object of this name to be collected",
                texts.secret
            );
            return only(Reason::Pending, message, Retry::Backoff);
        }
        TakeUp::Absent | TakeUp::Client(_) => {}
    }
    if spec.adoption.is_some() {
        let message = "spec.adoption: this version does not adopt clients; remove the field to create a new one";
        return only(Reason::AdoptionRejected, message, Retry::Verification);
    }
    if spec.suspend == Some(true) {
        return only(
            Reason::Suspended,
            "spec.suspend is true: set it to false to create the client",
            Retry::Verification,
        );
    }
    if let Some(report) = unusable(seen) {
        return report;
    }
    if seen.breaker_open {
        let message = "No client is created until the vendor answers again: an earlier create was left unanswered";
        return only(Reason::VendorUnavailable, message, Retry::Backoff);
    }
    // A claim that is dropped, a process that leaves, a spec that waits for an edit.
    unchanged(if seen.rejected {
        Retry::Verification
    } else {
        Retry::Backoff
    })
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
    let message = conflict_message(texts.secret);
    let told = (
        ConditionStatus::False,
        Reason::SecretConflict,
        message.clone(),
    );
    Report {
        secret_ready: Some(told),
        // A stranger's Secret has no label of ours, so no watch tells when it is gone.
        ..only(Reason::SecretConflict, message, Retry::Backoff)
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

fn retry_asked(seen: &Seen) -> bool {
    seen.retry.is_some() && seen.retry.as_ref() == seen.attempt.as_ref().map(|attempt| &attempt.id)
}

fn held(seen: &Seen, texts: Texts<'_>) -> Report {
    let (doubt, id) = match &seen.attempt {
        Some(attempt) => (&attempt.known, attempt.id.to_string()),
        None => return unchanged(Retry::Verification),
    };
    let retry = match seen.auto_retry {
        AutoRetry::No => None,
        AutoRetry::Early => Some(Retry::AttemptOver),
        AutoRetry::Unprobed | AutoRetry::Due => Some(Retry::Backoff),
    };
    if let Some(retry) = retry {
        let message = format!(
            "The create that began at {} has no known outcome. The connection says unknownOutcome: Retry, so it is made once \
             more when it can be under way no longer and the vendor answers; a client named \"{}\" may then be there twice",
            texts.attempt_time, texts.vendor_name
        );
        return only(Reason::Pending, message, retry);
    }
    let (reason, what) = match doubt {
        Known::Unknown(Doubt::NotNew) => (
            Reason::AnswerNotNew,
            "was answered with a client that is not new, so whether one was made is not known",
        ),
        _ => (
            Reason::CreateOutcomeUnknown,
            "has no known outcome, and trying again could make a second client",
        ),
    };
    let message = format!(
        "The create that began at {} {what}. Look for the name \"{}\" at the vendor. If it is there, deactivate it \
         there (taking it over with spec.adoption comes with a later version). Then, or if it is not there: kubectl annotate oauthclient {} -n {} --overwrite {}={id}",
        texts.attempt_time,
        texts.vendor_name,
        texts.name,
        texts.namespace,
        crate::api::RETRY_CREATE,
    );
    only(reason, message, Retry::Verification)
}

fn secret_content(seen: &Seen) -> Content {
    match seen.secret {
        SecretSeen::Absent => Content::Stale,
        SecretSeen::Present { content, .. } => content,
    }
}
