//! What became of creates, rotations and Secrets.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{long, register, register_as};
use provident_core::api::Reason;
use provident_core::vendor::outcome::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Known {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Held {
    reason: &'static str,
}

/// Figures of what was done; clones share them.
#[derive(Clone)]
pub struct Outcomes {
    creates: Family<Known, Counter>,
    holds: Family<Held, Counter>,
    rotations: Family<Known, Counter>,
    repairs: Counter,
    orphaned: Counter,
    possible_orphans: Counter,
    late: Counter,
    requeues_slowed: Counter,
    ready_seconds: Histogram,
}

impl Outcomes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let outcomes = Self {
            creates: register(
                registry,
                "creates",
                "Creates that were sent, by what is known of them",
            ),
            holds: register(
                registry,
                "holds",
                "Times that an object began to wait for a person because of its create",
            ),
            rotations: register(
                registry,
                "rotations",
                "Rotations that were sent, by what was said to them, and those seen done",
            ),
            repairs: register(
                registry,
                "secret_repairs",
                "Secrets repaired after someone else changed or deleted them",
            ),
            orphaned: register(
                registry,
                "orphaned_clients",
                "Clients left at the vendor because their object went without its finalizer",
            ),
            possible_orphans: register(
                registry,
                "possible_orphans",
                "Creates of unknown outcome that unknownOutcomePolicy: Retry repeated",
            ),
            requeues_slowed: register(
                registry,
                "requeues_slowed",
                "Reconciles that kept being requeued without a result and were slowed down",
            ),
            late: register(
                registry,
                "late_answers",
                "Created clients whose object was gone, deactivated",
            ),
            ready_seconds: register_as(
                registry,
                "client_ready_seconds",
                "Time from an object's creation until it was Ready for the first time",
                long(),
            ),
        };
        // There from the start, so that the first of each is seen as an increase.
        for outcome in ["created", "not_created", "unknown"] {
            let _ = outcomes.creates.get_or_create(&Known { outcome });
        }
        for reason in [Reason::CreateOutcomeUnknown, Reason::ExistingClientReturned] {
            let reason = reason.as_str();
            let _ = outcomes.holds.get_or_create(&Held { reason });
        }
        for outcome in ["accepted", "refused", "unknown", "done"] {
            let _ = outcomes.rotations.get_or_create(&Known { outcome });
        }
        outcomes
    }

    /// A create was sent.
    pub fn created(&self, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Created(_) => "created",
            Outcome::NotCreated(_) => "not_created",
            Outcome::Unknown(_) => "unknown",
        };
        self.creates.get_or_create(&Known { outcome }).inc();
    }

    /// The reason of an object's Ready condition changed to this one.
    pub fn reason_changed(&self, reason: Reason) {
        if matches!(
            reason,
            Reason::CreateOutcomeUnknown | Reason::ExistingClientReturned
        ) {
            let reason = reason.as_str();
            self.holds.get_or_create(&Held { reason }).inc();
        }
    }

    /// A rotation was accepted, refused or not answered, or was seen done.
    pub fn rotation(&self, outcome: &'static str) {
        self.rotations.get_or_create(&Known { outcome }).inc();
    }

    /// A Secret was repaired.
    pub fn repaired(&self) {
        self.repairs.inc();
    }

    /// An object went without the operator's doing, and left its client behind.
    pub fn orphaned(&self) {
        self.orphaned.inc();
    }

    /// A create of unknown outcome was made once more, as its connection says.
    pub fn possible_orphan(&self) {
        self.possible_orphans.inc();
    }

    /// A reconcile keeps being requeued without a result, and was slowed down.
    pub fn requeue_slowed(&self) {
        self.requeues_slowed.inc();
    }

    /// An answer came too late.
    pub fn late(&self) {
        self.late.inc();
    }

    /// An object is Ready for the first time, this long after its creation.
    pub fn ready(&self, after: Duration) {
        self.ready_seconds.observe(after.as_secs_f64());
    }
}
