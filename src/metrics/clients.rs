//! `OAuthClient` objects: how many there are for each reason, and how long ago each was last verified.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::tally::Tally;
use super::{register, seconds};
use provident_core::api::{ConditionType, OAuthClient, Reason};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionUpdate {
    reason: String,
}

#[derive(Clone, Copy)]
struct Verified {
    last: Instant,
    due: Instant,
}

/// Figures of objects; clones share them.
#[derive(Clone)]
pub struct Clients {
    reasons: Tally<String, ConditionUpdate>,
    oldest: Gauge<f64, AtomicU64>,
    overdue: Gauge<f64, AtomicU64>,
    verified: Arc<Mutex<HashMap<String, Verified>>>,
    began: Arc<OnceLock<Instant>>,
}

impl Clients {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            reasons: Tally::new(
                registry,
                "clients",
                "OAuthClient objects, by the reason of their Ready condition",
            ),
            oldest: register(
                registry,
                "oldest_verification_seconds",
                "Time since the client that was verified longest ago was verified, or since this process began to work",
            ),
            overdue: register(
                registry,
                "verification_overdue_seconds",
                "How long the verification that is most overdue has been due",
            ),
            verified: Arc::default(),
            began: Arc::default(),
        }
    }

    /// An object was reported on. `verified`: the vendor was asked for its client; the next verification is due after `next`.
    pub fn reported(&self, object: &OAuthClient, verified: bool, next: Duration) {
        let uid = object.uid().unwrap_or_default();
        let ready = object.condition(ConditionType::Ready);
        let reason = ready.map(|ready| ready.reason.clone());
        let suspended = reason.as_deref() == Some(Reason::Suspended.as_str());
        self.reasons
            .set(uid.clone(), reason.map(|reason| ConditionUpdate { reason }));
        let status = object.status.as_ref();
        let has_client = status.is_some_and(|status| status.client_id.is_some());
        let mut all = self.verified.lock();
        if !has_client || suspended || object.metadata.deletion_timestamp.is_some() {
            all.remove(&uid);
            return;
        }
        let now = Instant::now();
        let due = now.checked_add(next).unwrap_or(now);
        let entry = all.entry(uid).or_insert(Verified {
            last: *self.began.get_or_init(Instant::now),
            due,
        });
        if verified {
            *entry = Verified { last: now, due };
        }
    }

    /// An object cannot be read, so no verification of it is due.
    pub fn unreadable(&self, uid: &str) {
        let reason = Reason::InvalidObject.to_string();
        self.reasons
            .set(uid.to_owned(), Some(ConditionUpdate { reason }));
        self.verified.lock().remove(uid);
    }

    /// An object is gone.
    pub fn forget(&self, uid: &str) {
        self.reasons.set(uid.to_owned(), None);
        self.verified.lock().remove(uid);
    }

    pub(super) fn refresh(&self) {
        let (all, now) = (self.verified.lock(), Instant::now());
        let since = |at: Instant| now.checked_duration_since(at);
        let oldest = all.values().filter_map(|entry| since(entry.last)).max();
        let overdue = all.values().filter_map(|entry| since(entry.due)).max();
        drop(all);
        self.oldest.set(seconds(oldest));
        self.overdue.set(seconds(overdue));
    }
}
