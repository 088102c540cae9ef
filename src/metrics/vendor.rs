//! Calls to the vendor.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{register, register_as, short};
use crate::vendor::call::{Code, Operation};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    operation: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    operation: &'static str,
}

/// Figures of calls to the vendor; clones share them.
#[derive(Clone)]
pub struct Vendor {
    requests: Family<Call, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    turns: Histogram,
    put_off: Counter,
}

impl Vendor {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            requests: register(
                registry,
                "vendor_requests",
                "Requests to the vendor, by operation and answer",
            ),
            seconds: register_as(
                registry,
                "vendor_request_seconds",
                "Duration of a request to the vendor, from its sending to the last byte of its answer",
                Family::new_with_constructor(short as fn() -> Histogram),
            ),
            turns: register_as(
                registry,
                "vendor_turn_seconds",
                "Time that a call waited for a permit of its connection's rate limiter",
                short(),
            ),
            put_off: register(
                registry,
                "vendor_waits",
                "Calls postponed by a connection's rate limiter",
            ),
        }
    }

    /// The vendor was asked.
    pub fn asked(&self, operation: Operation, code: Code, took: Duration) {
        let operation = operation.as_str();
        let code = code.to_string();
        self.requests.get_or_create(&Call { operation, code }).inc();
        self.seconds
            .get_or_create(&Asked { operation })
            .observe(took.as_secs_f64());
    }

    /// A call has waited this long for its turn, and got it.
    pub fn turn(&self, waited: Duration) {
        self.turns.observe(waited.as_secs_f64());
    }

    /// A call was put off.
    pub fn put_off(&self) {
        self.put_off.inc();
    }
}
