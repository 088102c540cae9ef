//! Passes over objects.

use std::borrow::Cow;
use std::time::Duration;

use kube::Resource;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{register, register_as, short};
use provident_core::api::Reason;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    kind: Cow<'static, str>,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Error {
    kind: Cow<'static, str>,
    reason: &'static str,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There was nothing left to do.
    Success,
    /// A step was blocked, for a reason that status reports.
    Stopped(Reason),
    /// The view was stale, or it was not its turn; status was not written.
    Again,
    /// The object is gone.
    Gone,
    /// A request to the API server failed.
    ApiServer,
    /// A defect.
    Panic,
}

impl End {
    /// As a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Stopped(_) => "stopped",
            Self::Again => "again",
            Self::Gone => "gone",
            Self::ApiServer => "error",
            Self::Panic => "panic",
        }
    }

    fn error(self) -> Option<&'static str> {
        match self {
            Self::Success | Self::Again | Self::Gone => None,
            Self::Stopped(reason) => Some(reason.as_str()),
            Self::ApiServer => Some("ApiServer"),
            Self::Panic => Some("Panic"),
        }
    }
}

/// Figures of passes; clones share them.
#[derive(Clone)]
pub struct Passes {
    ended: Family<Result, Counter>,
    errors: Family<Error, Counter>,
    seconds: Family<Kind, Histogram, fn() -> Histogram>,
    panics: Counter,
}

impl Passes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            ended: register(
                registry,
                "reconcile",
                "Passes over an object, by how they ended",
            ),
            errors: register(
                registry,
                "reconcile_errors",
                "Passes that could not do a step, by reason",
            ),
            seconds: register_as(
                registry,
                "reconcile_seconds",
                "Duration of a pass",
                Family::new_with_constructor(short as fn() -> Histogram),
            ),
            panics: register(
                registry,
                "reconcile_panics",
                "Passes over an object that panicked",
            ),
        }
    }

    /// A pass over an object of kind `K` ended.
    pub fn ended<K: Resource<DynamicType = ()>>(&self, end: End, took: Duration) {
        let kind = K::kind(&());
        let result = end.as_str();
        let of = Result {
            kind: kind.clone(),
            result,
        };
        self.ended.get_or_create(&of).inc();
        if let Some(reason) = end.error() {
            let of = Error {
                kind: kind.clone(),
                reason,
            };
            self.errors.get_or_create(&of).inc();
        }
        if end == End::Panic {
            self.panics.inc();
        }
        self.seconds
            .get_or_create(&Kind { kind })
            .observe(took.as_secs_f64());
    }
}
