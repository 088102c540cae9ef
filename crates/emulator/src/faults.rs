//! Everything that can go wrong at, or on the way to, the vendor: the switches of a test.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::gate::{Gate, GateState};
use super::limit::{LimitVerdict, RateLimit, RateLimiter};
use super::rule::{Rule, Standing};

/// An operation of the API document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Operation {
    /// `POST /oauth2/clients`
    Create,
    /// `GET /oauth2/clients/{clientId}`
    Get,
    /// `PUT /oauth2/clients/{clientId}`
    Update,
    /// `POST /oauth2/clients/{clientId}/rotate-secret`
    Rotate,
    /// `POST /oauth2/token`
    Token,
    /// Any other path or method: a call that no client of this API should make.
    Undocumented,
}

/// On which side of the commit something happens: whether the vendor has done what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Nothing was done, and nothing will be.
    BeforeCommit,
    /// It was done, if the request was valid.
    AfterCommit,
}

/// What goes wrong with one call. Where no [`When`] is given the operation is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// The connection is closed with no byte of an answer.
    Drop(When),
    /// No answer comes for as long as the caller waits.
    Hang(When),
    /// Another answer than the vendor's own: of a gateway, a limiter, a redirect.
    Answer(Answer),
    /// The usual answer under another status, for instance 202.
    Status(u16),
    /// The usual answer, one byte at a time.
    SlowBody {
        /// The pause before each byte.
        milliseconds_per_byte: u64,
    },
    /// So many bytes of white space, valid before any JSON, then the usual answer. Made while it is sent.
    HugeBody {
        /// Bytes of white space.
        bytes: u64,
    },
    /// Half of the body, then the connection is closed.
    TruncatedBody,
    /// No body at all.
    EmptyBody,
    /// A page in HTML, with the usual status.
    HtmlBody,
    /// The usual answer and an unknown field of nested arrays.
    DeepJson {
        /// Levels of arrays.
        depth: usize,
    },
    /// The usual answer and so many header fields of 1 KiB each.
    HeaderBomb {
        /// Header fields.
        count: u16,
    },
    /// The usual answer without `clientSecret`.
    WithoutSecret,
    /// The usual answer, but of this clientId.
    WrongClientId(String),
    /// The usual answer, but created at this time.
    CreatedAt(Timestamp),
    /// Create answers the client of this clientId, which exists already, and makes none.
    ExistingClient(String),
    /// Create and update accept the values and store them in another form: name in lower case, lists sorted.
    Normalise,
    /// Update accepts these fields, named as in the request, and does nothing with them.
    IgnoreFields(Vec<String>),
    /// A token comes with this `expires_in`, whatever its lifetime; `None`: without one.
    ExpiresIn(Option<serde_json::Value>),
    /// Rotate works, but so many reads after it still answer the former secret.
    StaleReads(u32),
}

/// An answer made up by a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    when: When,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    #[serde(default)]
    pub(super) body: Option<String>,
}

impl Answer {
    /// This status (100 to 999), with an error body of the emulator.
    #[must_use]
    pub fn new(when: When, status: u16) -> Self {
        Self {
            when,
            status,
            headers: Vec::new(),
            body: None,
        }
    }

    /// With this header field, for instance `Retry-After` or `Location`; any text that HTTP can carry.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body instead of the emulator's.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }
}

impl Fault {
    /// A bare status in place of the vendor's answer.
    #[must_use]
    pub fn answer(when: When, status: u16) -> Self {
        Self::Answer(Answer::new(when, status))
    }

    /// Whether the operation is never carried out.
    pub(super) fn prevents_commit(&self) -> bool {
        match self {
            Self::Drop(when) | Self::Hang(when) | Self::Answer(Answer { when, .. }) => {
                *when == When::BeforeCommit
            }
            _ => false,
        }
    }
}

/// Properties of every answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Switches {
    pub(super) envelope: bool,
    pub(super) float_numbers: bool,
    pub(super) echo_secrets_in_errors: bool,
}

/// The switches of one emulator; each takes effect with the next call.
#[derive(Default)]
pub struct Faults(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    rules: Vec<Standing>,
    latency: BTreeMap<Operation, Duration>,
    gates: Vec<(Operation, When, GateState)>,
    switches: Switches,
    limit: Option<RateLimiter>,
}

impl Faults {
    /// Adds a rule after the existing ones. Only the first rule that fits a call is used.
    pub fn add(&self, rule: Rule) {
        if rule.count != Some(0) {
            self.lock().rules.push(Standing::new(rule));
        }
    }

    /// The next call of this operation.
    pub fn once(&self, operation: Operation, fault: Fault) {
        self.times(operation, 1, fault);
    }

    /// The next `count` calls of this operation.
    pub fn times(&self, operation: Operation, count: u32, fault: Fault) {
        self.add(Rule {
            operation,
            client: None,
            fault,
            every: None,
            count: Some(count),
        });
    }

    /// All calls of this operation, until [`clear`](Self::clear).
    pub fn always(&self, operation: Operation, fault: Fault) {
        self.add(Rule {
            operation,
            client: None,
            fault,
            every: None,
            count: None,
        });
    }

    /// Each call of this operation waits so long before it is carried out.
    pub fn set_latency(&self, operation: Operation, latency: Duration) {
        self.lock().latency.insert(operation, latency);
    }

    /// The same for every operation of the API document.
    pub(super) fn set_latency_of_all(&self, latency: Duration) {
        for operation in [
            Operation::Create,
            Operation::Get,
            Operation::Update,
            Operation::Rotate,
            Operation::Token,
        ] {
            self.set_latency(operation, latency);
        }
    }

    /// Holds all calls of this operation at this point until the gate is released. A fault of a call still happens.
    pub fn gate(&self, operation: Operation, when: When) -> Gate {
        let state = GateState::new();
        let mut inner = self.lock();
        inner.gates.retain(|(_, _, gate)| !gate.is_released());
        inner.gates.push((operation, when, state.clone()));
        Gate(state)
    }

    pub(super) fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.lock().limit = limit.map(|limit| RateLimiter::new(limit, Instant::now()));
    }

    /// What the rate limit makes of one more request.
    pub(super) fn limit(&self) -> Option<LimitVerdict> {
        let limit = &mut self.lock().limit;
        limit.as_mut().map(|limit| limit.request(Instant::now()))
    }

    /// Removes all rules and latencies. Gates, the rate limit and the switches below stay.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.rules.clear();
        inner.latency.clear();
    }

    /// Whether successful answers are wrapped in `{"data": …}`.
    pub fn set_envelope(&self, on: bool) {
        self.lock().switches.envelope = on;
    }

    /// Whether numbers are answered as `3600.0`; the API document says `number`.
    pub fn set_float_numbers(&self, on: bool) {
        self.lock().switches.float_numbers = on;
    }

    /// Whether every answer of 400 and above repeats the caller's token and the client's secret, in body and header.
    pub fn set_echo_secrets_in_errors(&self, on: bool) {
        self.lock().switches.echo_secrets_in_errors = on;
    }

    pub(super) fn switches(&self) -> Switches {
        self.lock().switches
    }

    pub(super) fn latency(&self, operation: Operation) -> Duration {
        self.lock()
            .latency
            .get(&operation)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn gates(&self, operation: Operation, when: When) -> Vec<GateState> {
        let inner = self.lock();
        inner
            .gates
            .iter()
            .filter(|gate| (gate.0, gate.1) == (operation, when))
            .map(|gate| gate.2.clone())
            .collect()
    }

    /// The fault of this call, which is used up by it.
    pub(super) fn take(&self, operation: Operation, client: Option<&str>) -> Option<Fault> {
        let rules = &mut self.lock().rules;
        let index = rules
            .iter_mut()
            .position(|active| active.meets(operation, client))?;
        let rule = &mut rules.get_mut(index)?.rule;
        let fault = rule.fault.clone();
        if let Some(count) = &mut rule.count {
            *count -= 1;
            if *count == 0 {
                rules.remove(index);
            }
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
