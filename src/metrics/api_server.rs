//! Requests to the API server.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{register, register_as, short};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    verb: &'static str,
    resource: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    verb: &'static str,
    resource: &'static str,
}

/// Figures of requests to the API server; clones share them.
#[derive(Clone)]
pub struct ApiServer {
    requests: Family<Request, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
}

impl ApiServer {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            requests: register(
                registry,
                "api_server_requests",
                "Requests to the API server, by verb, resource and answer",
            ),
            seconds: register_as(
                registry,
                "api_server_request_seconds",
                "Time until the head of the API server's answer",
                Family::new_with_constructor(short as fn() -> Histogram),
            ),
        }
    }

    /// The API server was asked; `code` is the status of its answer, `None` without one.
    pub fn asked(
        &self,
        verb: &'static str,
        resource: &'static str,
        code: Option<u16>,
        took: Duration,
    ) {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let request = Request {
            verb,
            resource,
            code,
        };
        self.requests.get_or_create(&request).inc();
        self.seconds
            .get_or_create(&Asked { verb, resource })
            .observe(took.as_secs_f64());
    }
}
