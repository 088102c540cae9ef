//! What was asked of the emulator, so that a test can count.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::faults::Operation;

/// The log keeps so many calls, the newest. Counts go on.
const MAX_CALLS: usize = 10_000;
/// And so many secrets.
const MAX_SECRETS: usize = 20_000;

/// One request that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// The client in question; of a create, the one that was made.
    pub client_id: Option<String>,
    /// The `name` in the body of a create or an update.
    pub name: Option<String>,
    /// The fields of the body of a create or an update, sorted.
    pub fields: Vec<String>,
    /// Whether it was carried out.
    pub committed: bool,
    /// The status of the answer; `None`: not answered, or not yet.
    pub status: Option<u16>,
    /// When it arrived.
    pub at: Timestamp,
}

/// How often an operation was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Calls that were read, whatever became of them.
    pub read: usize,
    /// Those that were carried out.
    pub done: usize,
}

/// A call's place in the log.
#[derive(Clone, Copy)]
pub(super) struct CallNumber {
    operation: Operation,
    number: u64,
}

pub(super) struct Journal {
    inner: Mutex<Inner>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    calls: VecDeque<Call>,
    forgotten: u64,
    counts: BTreeMap<Operation, Count>,
    most_in_flight: usize,
    secrets: VecDeque<String>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            changes: watch::Sender::new(()),
        }
    }

    pub(super) fn arrived(&self, call: Call) -> CallNumber {
        let mut inner = self.lock();
        let operation = call.operation;
        inner.counts.entry(operation).or_default().read += 1;
        if inner.calls.len() == MAX_CALLS {
            inner.calls.pop_front();
            inner.forgotten += 1;
        }
        let number = inner.forgotten + inner.calls.len() as u64;
        inner.calls.push_back(call);
        drop(inner);
        self.changes.send_replace(());
        CallNumber { operation, number }
    }

    /// The call was carried out.
    pub(super) fn committed(&self, call: CallNumber, client_id: &str) {
        self.lock().counts.entry(call.operation).or_default().done += 1;
        self.note(call, |call| {
            call.client_id = Some(client_id.to_owned());
            call.committed = true;
        });
    }

    pub(super) fn answered(&self, call: CallNumber, status: u16) {
        self.note(call, |call| call.status = Some(status));
    }

    pub(super) fn keep_secret(&self, secret: &str) {
        let secrets = &mut self.lock().secrets;
        if secrets.len() == MAX_SECRETS {
            secrets.pop_front();
        }
        secrets.push_back(secret.to_owned());
    }

    pub(super) fn secrets(&self) -> Vec<String> {
        self.lock().secrets.iter().cloned().collect()
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.iter().cloned().collect()
    }

    /// The operations that were asked for.
    pub(super) fn counts(&self) -> BTreeMap<Operation, Count> {
        self.lock().counts.clone()
    }

    pub(super) fn count(&self, operation: Operation) -> Count {
        let counts = &self.lock().counts;
        counts.get(&operation).copied().unwrap_or_default()
    }

    /// So many calls are being carried out at once.
    pub(super) fn in_flight(&self, calls: usize) {
        let mut inner = self.lock();
        inner.most_in_flight = inner.most_in_flight.max(calls);
    }

    /// The most that were ever carried out at once.
    pub(super) fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    /// Changes whenever a call arrives, is carried out, or is answered.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn note(&self, call: CallNumber, change: impl FnOnce(&mut Call)) {
        let mut inner = self.lock();
        let index = call
            .number
            .checked_sub(inner.forgotten)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(call) = index.and_then(|index| inner.calls.get_mut(index)) {
            change(call);
        }
        drop(inner);
        self.changes.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
