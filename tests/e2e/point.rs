//! Points in an operator's run at which a test steps in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::faults::{Effect, Fault, Faults, Moment, RequestInfo};
use tokio::sync::watch;

/// The first request of some kind, which is held there until [`Point::release`]; for a crash, it never goes on.
pub struct Point {
    reached: watch::Receiver<bool>,
    released: watch::Sender<bool>,
}

impl Point {
    /// Sets the point: the first request that is `such`, before it is sent or after it was answered.
    pub fn at(
        faults: &Faults,
        moment: Moment,
        such: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (tell, reached) = watch::channel(false);
        let (released, wait) = watch::channel(false);
        let tell = Arc::new(tell);
        let met = AtomicBool::new(false);
        let effect = Effect::run(move |_| {
            let (tell, mut wait) = (Arc::clone(&tell), wait.clone());
            async move {
                tell.send_replace(true);
                // An error is the end of the test, which nobody waits for.
                let _ = wait.wait_for(|released| *released).await;
            }
        });
        faults.add_rule(move |request| {
            (such(request) && !met.swap(true, Ordering::SeqCst)).then(|| Fault {
                moment,
                effect: effect.clone(),
            })
        });
        Self { reached, released }
    }

    /// Waits until the request is there.
    pub async fn reached(&self) {
        let mut reached = self.reached.clone();
        let arrived = reached.wait_for(|reached| *reached);
        tokio::time::timeout(crate::world::PATIENCE, arrived)
            .await
            .expect("the operator never made the request of this point")
            .unwrap();
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

/// A write of an `OAuthClient`'s status; the first one of a create is its claim.
pub fn is_status_write(request: &RequestInfo) -> bool {
    request.is_write() && request.resource_and_subresource() == "oauthclients/status"
}

/// A stored write of a Secret.
pub fn is_secret_write(request: &RequestInfo) -> bool {
    request.is_write() && request.resource == "secrets"
}
