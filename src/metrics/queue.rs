//! Objects that wait for a pass, and passes under way. The controller's own queue is private, so it is measured from
//! both its ends: what asks for a pass, and the pass's beginning.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{long, register, register_as, seconds};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: Cow<'static, str>,
}

/// An object of the queue. By a hash of its name, since one is kept for each object: two that share it are one figure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Item {
    kind: Cow<'static, str>,
    name: u64,
}

impl Item {
    fn of<K: Resource<DynamicType = ()>>(object: &ObjectRef<K>) -> Self {
        let mut name = DefaultHasher::new();
        (&object.namespace, &object.name).hash(&mut name);
        Self {
            kind: K::kind(&()),
            name: name.finish(),
        }
    }
}

#[derive(Default)]
struct State {
    /// When the next pass over an object is due.
    due: HashMap<Item, Instant>,
    running: HashMap<Item, Instant>,
    /// When the first pass of the process began. Before it nothing waits: the lists are read, or another process leads.
    opened: Option<Instant>,
    /// Kinds that were ever asked for: their gauges go back to zero.
    kinds: HashSet<Cow<'static, str>>,
}

/// Figures of the queue; clones share them.
#[derive(Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
    adds: Family<Kind, Counter>,
    retries: Family<Kind, Counter>,
    waits: Family<Kind, Histogram, fn() -> Histogram>,
    depth: Family<Kind, Gauge>,
    oldest: Family<Kind, Gauge<f64, AtomicU64>>,
    workers: Family<Kind, Gauge>,
    longest: Family<Kind, Gauge<f64, AtomicU64>>,
}

/// A pass under way; it ends when this is dropped.
pub struct Working {
    queue: Queue,
    item: Item,
}

impl Queue {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            state: Arc::default(),
            adds: register(
                registry,
                "queue_adds",
                "Passes asked for, by a change or for later; several for one object are one",
            ),
            retries: register(
                registry,
                "queue_retries",
                "Passes asked for again after one that failed",
            ),
            waits: register_as(
                registry,
                "queue_wait_seconds",
                "Time from when a pass was due until it began",
                Family::new_with_constructor(long as fn() -> Histogram),
            ),
            depth: register(
                registry,
                "queue_depth",
                "Objects whose pass is due and has not begun",
            ),
            oldest: register(
                registry,
                "queue_oldest_seconds",
                "How long the object that has waited longest has been due",
            ),
            workers: register(registry, "active_workers", "Passes under way"),
            longest: register(
                registry,
                "longest_pass_seconds",
                "How long the longest pass under way has taken so far",
            ),
        }
    }

    /// A change requests a reconcile of the object now.
    pub fn asked<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) {
        self.due(Item::of(object), Instant::now());
    }

    /// The object is to be reconciled again after this long.
    pub fn again<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>, after: Duration) {
        // What is never due is not waited for.
        if let Some(at) = Instant::now().checked_add(after) {
            self.due(Item::of(object), at);
        }
    }

    /// The last pass over an object of kind `K` failed, and it comes back for that.
    pub fn failed<K: Resource<DynamicType = ()>>(&self) {
        let kind = K::kind(&());
        self.retries.get_or_create(&Kind { kind }).inc();
    }

    /// There is no such object any more.
    pub fn gone<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) {
        self.state.lock().due.remove(&Item::of(object));
    }

    /// A pass over the object begins.
    #[must_use]
    pub fn begun<K: Resource<DynamicType = ()>>(&self, object: &ObjectRef<K>) -> Working {
        let (item, now) = (Item::of(object), Instant::now());
        let mut state = self.state.lock();
        let opened = *state.opened.get_or_insert(now);
        let due = state.due.remove(&item).unwrap_or(now).max(opened);
        state.running.insert(item.clone(), now);
        drop(state);
        let waited = now.saturating_duration_since(due);
        let kind = item.kind.clone();
        self.waits
            .get_or_create(&Kind { kind })
            .observe(waited.as_secs_f64());
        Working {
            queue: self.clone(),
            item,
        }
    }

    // As the controller does it: the earlier time counts.
    fn due(&self, item: Item, at: Instant) {
        let kind = item.kind.clone();
        let mut state = self.state.lock();
        state.kinds.insert(kind.clone());
        let mut fresh = false;
        state
            .due
            .entry(item)
            .and_modify(|due| *due = at.min(*due))
            .or_insert_with(|| {
                fresh = true;
                at
            });
        drop(state);
        if fresh {
            self.adds.get_or_create(&Kind { kind }).inc();
        }
    }

    pub(super) fn refresh(&self) {
        let (state, now) = (self.state.lock(), Instant::now());
        let none = |kind: &Cow<'static, str>| (kind.clone(), Figures::default());
        let mut kinds: HashMap<_, _> = state.kinds.iter().map(none).collect();
        for (item, due) in &state.due {
            let of = kinds.entry(item.kind.clone()).or_default();
            let since = state.opened.map(|opened| opened.max(*due));
            if let Some(waits) = since.and_then(|since| now.checked_duration_since(since)) {
                of.depth += 1;
                of.oldest = of.oldest.max(Some(waits));
            }
        }
        for (item, began) in &state.running {
            let of = kinds.entry(item.kind.clone()).or_default();
            of.workers += 1;
            of.longest = of.longest.max(Some(now.saturating_duration_since(*began)));
        }
        drop(state);
        for (kind, figures) in kinds {
            let kind = Kind { kind };
            self.depth.get_or_create(&kind).set(figures.depth);
            self.workers.get_or_create(&kind).set(figures.workers);
            let (oldest, longest) = (seconds(figures.oldest), seconds(figures.longest));
            self.oldest.get_or_create(&kind).set(oldest);
            self.longest.get_or_create(&kind).set(longest);
        }
    }
}

#[derive(Default)]
struct Figures {
    depth: i64,
    oldest: Option<Duration>,
    workers: i64,
    longest: Option<Duration>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.queue.state.lock().running.remove(&self.item);
    }
}

#[cfg(test)]
mod tests;
