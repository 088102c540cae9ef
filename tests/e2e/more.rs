//! What several files of scenarios need of a world beyond its own.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use provident_core::api::{OAuthClient, Reason};
use provident_emulator::{Gate, StoredClient};

use crate::world::{PATIENCE, World, ready};

impl World {
    /// Waits until `holds`; fails with all there is to see.
    pub async fn eventually(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.eventually_within(PATIENCE, what, holds).await;
    }

    /// The same for something that takes its time by design.
    pub async fn eventually_within(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl AsyncFnMut() -> bool,
    ) {
        let start = Instant::now();
        while !holds().await {
            if start.elapsed() > patience {
                self.fail(&format!("not within {patience:?}: {what}")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many calls stand at the vendor's gate.
    pub async fn arrived(&self, gate: &Gate, calls: usize) {
        if tokio::time::timeout(PATIENCE, gate.arrived(calls))
            .await
            .is_err()
        {
            self.fail(&format!("fewer than {calls} calls came to the gate"))
                .await;
        }
    }

    /// Waits until the object is not Ready for this reason, its message names the field or thing to look at and the next
    /// step, and `kubectl describe` shows the same.
    pub async fn until_told(&self, name: &str, reason: Reason, words: &[&str]) -> OAuthClient {
        let message = self.until_reason(name, reason).await;
        for word in words {
            assert!(message.contains(word), "no {word:?} in {message:?}");
        }
        self.until_event_with(name, reason, words).await;
        self.get(name).await
    }

    /// Waits until an event of this reason has these words.
    pub async fn until_event_with(
        &self,
        name: &str,
        reason: impl Into<&'static str>,
        words: &[&str],
    ) {
        let reason = reason.into();
        self.eventually(&format!("an event {reason} with {words:?}"), async || {
            let events = self.events(name).await;
            events.iter().any(|event| {
                event.starts_with(reason) && words.iter().all(|word| event.contains(word))
            })
        })
        .await;
    }

    /// The one client at the vendor.
    pub fn only_client(&self) -> StoredClient {
        let mut clients = self.emulator.clients();
        assert_eq!(clients.len(), 1, "{clients:?}");
        clients.remove(0)
    }
}

/// The reason of the condition `Ready`.
pub fn reason(object: &OAuthClient) -> String {
    ready(object)
        .map(|ready| ready.reason.clone())
        .unwrap_or_default()
}

/// The clientId that status records.
pub fn client_id(object: &OAuthClient) -> Option<String> {
    object.status.as_ref()?.client_id.clone()
}

/// The uid.
pub fn uid(object: &OAuthClient) -> String {
    object.uid().unwrap()
}
