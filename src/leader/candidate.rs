//! What a candidate does next about the lease: pure; the caller passes the time. Another host's clock is never compared with ours:
//! a lease is as old as the time since this process saw its record change.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

/// Everybody else leaves the lease alone this long after they saw it change.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// Its holder counts on it this long from the start of its last write that succeeded. Nobody can have seen that write
/// before, so the holder stops at least 5 s before another one may begin.
pub(super) const TERM: Duration = Duration::from_secs(10);
/// The holder writes it this often.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(5);
/// The bound of one request. Two fit between a renewal that is due and the end of the term, so that a connection which
/// died in silence does not cost the lease.
pub(super) const TRY_WITHIN: Duration = Duration::from_millis(2500);
/// Tries that fail begin at least this far apart.
pub(super) const RETRY_EVERY: Duration = Duration::from_secs(1);
/// After a write that lost against another: long enough not to be a loop.
pub(super) const CONFLICT_WAIT: Duration = Duration::from_millis(200);

/// What is to be done about the lease.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Read it.
    Look,
    /// Write it: replace the version it was read as, or create it where it has none.
    Write(Box<Lease>),
    /// Nothing for so long.
    Wait(Duration),
    /// It was held, and is not any more.
    Lost,
}

/// One of the processes that want the lease.
pub(super) struct Candidate {
    name: String,
    identity: String,
    /// As last read or written, and since when its record is unchanged; `None` where there is none, or before the first
    /// look.
    seen: Option<(Lease, Instant)>,
    /// Until when the lease is held, once it was.
    until: Option<Instant>,
    /// When something is to be done, and whether that is a look or a write.
    due: Instant,
    look: bool,
}

impl Candidate {
    pub fn new(name: &str, identity: String, now: Instant) -> Self {
        Self {
            name: name.to_owned(),
            identity,
            seen: None,
            until: None,
            due: now,
            look: true,
        }
    }

    /// The next step; `wall` is what a person reads in the lease.
    pub fn next(&self, now: Instant, wall: Timestamp) -> Step {
        if self.until.is_some_and(|until| now >= until) {
            return Step::Lost;
        }
        if now < self.due {
            let due = self.until.map_or(self.due, |until| until.min(self.due));
            return Step::Wait(due - now);
        }
        if self.look {
            return Step::Look;
        }
        Step::Write(Box::new(self.ours(wall)))
    }

    /// Takes in the lease as it was read. One that another process holds is read again after `pause`, or when it is free.
    pub fn looked(&mut self, lease: Option<Lease>, now: Instant, pause: Duration) {
        let unchanged = match (&self.seen, &lease) {
            (Some((before, since)), Some(lease)) if before.spec == lease.spec => Some(*since),
            _ => None,
        };
        self.seen = lease.map(|lease| (lease, unchanged.unwrap_or(now)));
        let left = self.left(now);
        (self.look, self.due) = (!left.is_zero(), now + left.min(pause));
        if !left.is_zero() && self.until.is_some() {
            self.until = Some(now);
        }
    }

    /// Takes in what a write that began at `started` has made of the lease: it is held from here on.
    pub fn wrote(&mut self, lease: Lease, started: Instant) {
        self.seen = Some((lease, started));
        self.until = Some(started + TERM);
        (self.look, self.due) = (false, started + RENEW_EVERY);
    }

    /// Takes in that the lease was changed since it was read.
    pub fn refused(&mut self, now: Instant) {
        (self.look, self.due) = (true, now + CONFLICT_WAIT);
    }

    /// Takes in that a request that began at `started` was not answered well. A write may have been carried out even so:
    /// the next one is refused then.
    pub fn failed(&mut self, started: Instant) {
        self.due = started + RETRY_EVERY;
    }

    /// Until when the lease is held, if it is or was.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Who else holds it.
    pub fn other(&self) -> Option<&str> {
        self.holder().filter(|holder| *holder != self.identity)
    }

    /// The lease given back, if it is ours.
    pub fn released(&self, lease: &Lease, wall: Timestamp) -> Option<Lease> {
        let mut lease = lease.clone();
        let spec = lease.spec.as_mut()?;
        if spec.holder_identity.take()? != self.identity {
            return None;
        }
        spec.renew_time = Some(MicroTime(wall));
        Some(lease)
    }

    fn holder(&self) -> Option<&str> {
        let spec = self.seen.as_ref()?.0.spec.as_ref()?;
        let holder = spec.holder_identity.as_deref()?;
        (!holder.is_empty()).then_some(holder)
    }

    // How long it stays another's. How long that is, is the holder's own promise.
    fn left(&self, now: Instant) -> Duration {
        let (Some((lease, since)), Some(_)) = (&self.seen, self.other()) else {
            return Duration::ZERO;
        };
        let promised = lease
            .spec
            .as_ref()
            .and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
        let promised = promised.map_or(LEASE, Duration::from_secs);
        promised.saturating_sub(now.saturating_duration_since(*since))
    }

    // What somebody else put on the object stays.
    fn ours(&self, wall: Timestamp) -> Lease {
        let before = self.seen.as_ref().map(|(lease, _)| lease);
        let spec = before.and_then(|lease| lease.spec.clone());
        let metadata = before.map_or_else(
            || ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            |lease| lease.metadata.clone(),
        );
        let is_ours = self.holder() == Some(&self.identity);
        let (acquired, transitions) = match &spec {
            Some(spec) if is_ours => (spec.acquire_time.clone(), spec.lease_transitions),
            Some(spec) => (
                None,
                Some(spec.lease_transitions.unwrap_or(0).saturating_add(1)),
            ),
            None => (None, Some(0)),
        };
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
                acquire_time: acquired.or(Some(MicroTime(wall))),
                renew_time: Some(MicroTime(wall)),
                lease_transitions: transitions,
                ..spec.unwrap_or_default()
            }),
        }
    }
}
