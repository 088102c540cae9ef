//! Callers that wait for a permit, served round robin by namespace, and when those that were refused should retry.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Callers of one namespace that wait at a time. Few, since each holds a worker.
const WAITING_EACH: usize = 8;
/// Callers that wait at a time. A namespace without a waiting caller may always add one.
const WAITING_ALL: usize = 24;
/// The longest retry delay.
const LONGEST: Duration = Duration::from_mins(5);

/// Round robin over namespaces.
pub(super) struct FairQueue<T> {
    waiting: VecDeque<(String, VecDeque<oneshot::Sender<T>>)>,
    /// By namespace: the retry time that was last given out. The next caller gets a later one.
    retry_at: HashMap<String, Instant>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            retry_at: HashMap::new(),
        }
    }
}

impl<T> FairQueue<T> {
    /// Whether one more of this namespace may wait.
    pub(super) fn has_room(&mut self, namespace: &str) -> bool {
        let now = Instant::now();
        self.retry_at.retain(|_, at| *at > now);
        for (_, queue) in &mut self.waiting {
            queue.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, queue)| !queue.is_empty());
        let all: usize = self.waiting.iter().map(|(_, queue)| queue.len()).sum();
        match self.waiting.iter().find(|(name, _)| name == namespace) {
            Some((_, queue)) => queue.len() < WAITING_EACH && all < WAITING_ALL,
            None => true,
        }
    }

    /// Puts a caller behind those of its namespace.
    pub(super) fn wait(&mut self, namespace: &str, sender: oneshot::Sender<T>) {
        match self.waiting.iter_mut().find(|(name, _)| name == namespace) {
            Some((_, queue)) => queue.push_back(sender),
            None => self
                .waiting
                .push_back((namespace.to_owned(), VecDeque::from([sender]))),
        }
    }

    /// Whether any caller waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Gives a permit to the next namespace's first caller, and puts that namespace last. Returns it if no caller took it.
    pub(super) fn give(&mut self, turn: T) -> Option<T> {
        let mut turn = turn;
        while let Some((namespace, mut queue)) = self.waiting.pop_front() {
            while let Some(sender) = queue.pop_front() {
                match sender.send(turn) {
                    Ok(()) => {
                        if !queue.is_empty() {
                            self.waiting.push_back((namespace, queue));
                        }
                        return None;
                    }
                    Err(unwanted) => turn = unwanted,
                }
            }
        }
        Some(turn)
    }

    /// When a refused caller should retry: after those of its namespace that were refused before it, a little more densely
    /// than permits come, so that each permit finds a caller.
    pub(super) fn retry_delay(
        &mut self,
        namespace: &str,
        from: Instant,
        interval: Duration,
    ) -> Duration {
        let now = Instant::now();
        self.retry_at.retain(|_, at| *at > now);
        let last = self
            .retry_at
            .get(namespace)
            .copied()
            .unwrap_or(now)
            .max(from.max(now));
        let at = (last + interval * 4 / 5).min(now + LONGEST);
        self.retry_at.insert(namespace.to_owned(), at);
        at.duration_since(now)
    }
}
