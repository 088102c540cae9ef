//! What status says at the end of a reconcile: one function per situation, so that every message can be read in one place.

mod bound;
mod deleting;
mod unbound;

use self::bound::bound;
use self::deleting::deleting;
use self::unbound::unbound;
pub use self::unbound::unproven_secret;
use super::blocked::{Blocked, Requeue};
use super::facts::{AdoptionFact, ConnectionFacts, Content, Facts, RecordedClient, Vendor};
use super::rules::{client, leaves_client_alone};
use crate::api::{ConditionStatus, OAuthClientSpec, Reason};

/// Words of one object that messages need.
#[derive(Clone, Copy, Debug)]
pub struct MessageContext<'a> {
    /// Namespace of the object.
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
    /// Name of its Secret.
    pub secret: &'a str,
    /// Name that the client has at the vendor.
    pub vendor_name: &'a str,
    /// When the open attempt started, as text.
    pub attempt_time: &'a str,
}

/// A condition's status, reason and message.
pub type ConditionUpdate = (ConditionStatus, Reason, String);

/// What a reconcile reports. A condition that is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The summary.
    pub ready: Option<ConditionUpdate>,
    /// Whether the vendor's client equals the spec.
    pub synced: Option<ConditionUpdate>,
    /// Whether the Secret holds the credentials.
    pub secret_ready: Option<ConditionUpdate>,
    /// When to reconcile again.
    pub requeue: Requeue,
}

/// What status becomes. Pure: equal facts give equal words, so that a settled object is never written.
#[must_use]
pub fn report(spec: &OAuthClientSpec, facts: &Facts, context: MessageContext<'_>) -> Report {
    if facts.deleting {
        return deleting(facts, context);
    }
    match &facts.blocked {
        Some(blocked) => stopped(facts, blocked),
        None => finished(spec, facts, context),
    }
}

fn not_ready(reason: Reason, message: impl Into<String>, requeue: Requeue) -> Report {
    Report {
        ready: Some((ConditionStatus::False, reason, message.into())),
        synced: None,
        secret_ready: None,
        requeue,
    }
}

fn unchanged(requeue: Requeue) -> Report {
    Report {
        ready: None,
        synced: None,
        secret_ready: None,
        requeue,
    }
}

// A step could not be carried out.
fn stopped(facts: &Facts, blocked: &Blocked) -> Report {
    let passing = matches!(
        blocked.reason,
        Reason::VendorUnavailable | Reason::VendorThrottled | Reason::ConnectionNotReady
    );
    let differs = match &facts.vendor {
        Vendor::Found(found) => !found.differs.is_empty(),
        Vendor::NotAsked | Vendor::Missing | Vendor::Deactivated => false,
    };
    let pending = differs
        || facts.verification_requested
        || facts.rotation.requested.is_some()
        || facts.rotation.open.is_some();
    // Nothing is pending for a client that is as declared: the connection reports an outage.
    if passing
        && blocked.ready == ConditionStatus::False
        && facts.ready
        && facts.secret.content() == Content::Current
        && !pending
    {
        return unchanged(blocked.requeue);
    }
    let update = (blocked.ready, blocked.reason, blocked.message.clone());
    let mut report = Report {
        ready: Some(update.clone()),
        ..unchanged(blocked.requeue)
    };
    match blocked.reason {
        Reason::SecretConflict | Reason::SecretWriteDenied | Reason::SecretImmutable => {
            report.secret_ready = Some(update);
        }
        Reason::SpecRejected | Reason::UpdateNotApplied => report.synced = Some(update),
        _ => {}
    }
    report
}

const MISMATCH: &str =
    "The operator did not record this clientId for this object: its binding is not valid";
const KEY_MISSING: &str = "The operator's binding key is missing, so no recorded clientId can be trusted. Restore its Secret from the backup";

// The connection's message names the Secret to restore.
fn key_missing(facts: &Facts) -> &str {
    match &facts.connection {
        ConnectionFacts::Unusable(Reason::BindingKeyMissing, message) => message,
        _ => KEY_MISSING,
    }
}

fn finished(spec: &OAuthClientSpec, facts: &Facts, context: MessageContext<'_>) -> Report {
    match facts.record {
        RecordedClient::Unverified if client(facts).is_none() => {
            if let AdoptionFact::Refused(reason, message) = &facts.adoption {
                return not_ready(*reason, message.clone(), Requeue::Backoff);
            }
            let step = "Restore the object and its Secret from the same backup, prove ownership of the client in spec.adoption, or \
                        remove status.clientId with kubectl edit --subresource=status";
            return not_ready(
                Reason::BindingMismatch,
                format!("status.clientId: {MISMATCH}. {step}"),
                Requeue::Verification,
            );
        }
        RecordedClient::KeyMissing => {
            let message = key_missing(facts);
            return not_ready(Reason::BindingKeyMissing, message, Requeue::Backoff);
        }
        RecordedClient::Bound(_) | RecordedClient::Empty | RecordedClient::Unverified => {}
    }
    if client(facts).is_none() {
        return unbound(spec, facts, context);
    }
    if leaves_client_alone(facts) {
        let message = "An older OAuthClient has the same client, so this one is inactive. Delete one of the two; the client stays active \
                       at the vendor for the other";
        return not_ready(Reason::ClientInUse, message, Requeue::Verification);
    }
    bound(spec, facts, context)
}

fn unusable(facts: &Facts) -> Option<Report> {
    match &facts.connection {
        ConnectionFacts::Usable => None,
        ConnectionFacts::Denied(message) => Some(not_ready(
            Reason::AccessDenied,
            message.clone(),
            Requeue::Verification,
        )),
        ConnectionFacts::Unusable(reason, message) => {
            Some(not_ready(*reason, message.clone(), Requeue::Backoff))
        }
    }
}

fn conflict(context: MessageContext<'_>) -> Report {
    // A foreign Secret does not carry our label, so no watch reports its deletion.
    in_conflict(conflict_message(context.secret), Requeue::Backoff)
}

fn in_conflict(message: String, requeue: Requeue) -> Report {
    let report = not_ready(Reason::SecretConflict, message, requeue);
    Report {
        secret_ready: report.ready.clone(),
        ..report
    }
}

/// The message for an object whose Secret's name is taken. The name is immutable, so another name needs another object.
#[must_use]
pub fn conflict_message(secret: &str) -> String {
    format!(
        "spec.secret.name: Secret {secret} exists and does not belong to this OAuthClient; the operator leaves it unchanged. \
         Delete the Secret, or recreate this OAuthClient with a different spec.secret.name"
    )
}
