//! Why a step could not be carried out, and when to reconcile again.

use std::time::Duration;

use crate::api::{ConditionStatus, Reason};

/// When to reconcile the object again, if nothing about it changes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requeue {
    /// At once: the reconcile ended to record something first.
    Now,
    /// After this object's backoff.
    Backoff,
    /// After the backoff, but not before this long.
    After(Duration),
    /// When another process's create attempt cannot be running any more.
    AttemptOver,
    /// When an unanswered rotation cannot be carried out any more.
    RotationOver,
    /// At the next scheduled verification.
    Verification,
}

/// Why a step could not be carried out, for status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Blocked {
    /// What `Ready` becomes: `False`, or `Unknown` where the vendor's answer cannot be trusted.
    pub ready: ConditionStatus,
    /// Shared by condition, event and metric.
    pub reason: Reason,
    /// What happened and what to do, for people.
    pub message: String,
    /// When to try again.
    pub requeue: Requeue,
}

impl Blocked {
    /// A step that could not be carried out, which makes `Ready` false.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>, requeue: Requeue) -> Self {
        Self {
            ready: ConditionStatus::False,
            reason,
            message: message.into(),
            requeue,
        }
    }
}
