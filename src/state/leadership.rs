//! Whether this process may start work.

use std::time::Instant;

use tokio::sync::watch;

/// Whether this process may begin work; clones share it.
#[derive(Clone)]
pub struct Leadership(Option<watch::Receiver<Option<Instant>>>);

impl Leadership {
    /// Held until the time that `term` carries.
    #[must_use]
    pub const fn new(term: watch::Receiver<Option<Instant>>) -> Self {
        Self(Some(term))
    }

    /// Of a process that takes part in no election: always.
    #[must_use]
    pub const fn unopposed() -> Self {
        Self(None)
    }

    /// Whether it may now, by its own monotonic clock. That one runs on while the process is frozen: one that wakes after
    /// its term has nothing to begin.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|term| term.borrow().is_some_and(is_to_come))
    }

    /// Waits until it may; for ever, once the lease was lost.
    pub async fn held(&self) {
        let Some(term) = &self.0 else { return };
        let held = |until: &Option<Instant>| until.is_some_and(is_to_come);
        if term.clone().wait_for(held).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn is_to_come(until: Instant) -> bool {
    Instant::now() < until
}
