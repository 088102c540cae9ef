//! Calls held in flight until a test has done what it wants to happen meanwhile.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(super) struct GateState {
    arrived: Arc<watch::Sender<usize>>,
    released: CancellationToken,
}

impl GateState {
    pub(super) fn new() -> Self {
        Self {
            arrived: Arc::new(watch::Sender::new(0)),
            released: CancellationToken::new(),
        }
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.is_cancelled()
    }

    /// A call waits here until the gate is released. Once released, it is as if the gate was never there.
    pub(super) async fn pass(&self) {
        if self.is_released() {
            return;
        }
        self.arrived.send_modify(|count| *count += 1);
        self.released.cancelled().await;
    }
}

/// Holds every call of one operation, from [`Faults::gate`](super::Faults::gate) until [`release`](Self::release) or drop.
///
/// A held call goes on when the gate opens even if its caller is gone by then, as at a vendor that has read the
/// request.
#[must_use = "a gate that is dropped is open"]
pub struct Gate(pub(super) GateState);

impl Gate {
    /// Waits until so many calls have come to the gate.
    pub async fn arrived(&self, calls: usize) {
        let mut arrived = self.0.arrived.subscribe();
        // The sender lives in `self`: this cannot end before the count is reached.
        let _ = arrived.wait_for(|count| *count >= calls).await;
    }

    /// Lets all held calls go on, and those that come later pass.
    pub fn release(&self) {
        self.0.released.cancel();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release();
    }
}
