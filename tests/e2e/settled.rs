//! What scenarios about a client that has long been there share: how it is asked for, and what it costs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::faults::Faults;
use kube::api::{Patch, PatchParams};
use provident_core::api::{ConditionType, OAuthClient, RECONCILE};
use provident_emulator::{Operation, StoredClient};
use serde_json::{Value, json};

use crate::world::World;

impl World {
    /// Declares a client and waits until it is Ready, its connection is proven by it, and nothing happens any more.
    pub async fn settled(&self, name: &str, spec: Value) -> String {
        self.declare(name, spec).await;
        let client_id = self.until_ready(name).await;
        self.verify_now(name).await;
        self.silence().await;
        client_id
    }

    /// Asks for a verification by annotation, with a value of its own, and waits until it is acknowledged.
    pub async fn verify_now(&self, name: &str) -> OAuthClient {
        let asked = self.ask_for_verification(name).await;
        let handled = |object: &OAuthClient| handled(object).as_ref() == Some(&asked);
        self.until(name, "verified as asked", handled).await
    }

    /// Asks only.
    pub async fn ask_for_verification(&self, name: &str) -> String {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let asked = format!("now-{}", ASKED.fetch_add(1, Ordering::Relaxed));
        let patch = json!({ "metadata": { "annotations": { RECONCILE: asked } } });
        self.patch(name, patch).await;
        asked
    }

    /// Changes the vendor's client behind the operator's back.
    pub fn drift(&self, client_id: &str, change: impl FnOnce(&mut StoredClient)) {
        assert!(
            self.emulator.edit(client_id, change),
            "no client {client_id}"
        );
    }

    /// Merges into a Secret, as somebody with that right does.
    pub async fn edit_secret(&self, name: &str, patch: Value) {
        let (secrets, params) = (self.secrets(), PatchParams::default());
        secrets
            .patch(name, &params, &Patch::Merge(&patch))
            .await
            .unwrap();
    }

    /// What the vendor was asked since its call number `from`, probes of the connection aside.
    pub fn operations_from(&self, from: usize) -> Vec<Operation> {
        let calls = self.emulator.calls().split_off(from);
        let known = |client: &Option<String>| {
            client
                .as_ref()
                .is_none_or(|id| self.emulator.client(id).is_some())
        };
        let ours = calls.into_iter().filter(|call| known(&call.client_id));
        ours.map(|call| call.operation).collect()
    }
}

/// What the operator stored since its requests were last forgotten, by kind.
pub fn writes(faults: &Faults) -> BTreeMap<String, usize> {
    faults.writes_by_resource()
}

/// The same as a literal.
pub fn these<const N: usize>(writes: [(&str, usize); N]) -> BTreeMap<String, usize> {
    let owned = |(kind, count): (&str, usize)| (kind.to_owned(), count);
    writes.into_iter().map(owned).collect()
}

/// `status.lastHandledReconcile`.
pub fn handled(object: &OAuthClient) -> Option<String> {
    object.status.as_ref()?.last_handled_reconcile.clone()
}

/// Status, reason and message of a condition.
pub fn condition_of(object: &OAuthClient, type_: ConditionType) -> (String, String, String) {
    let found = object.condition(type_).cloned();
    found.map_or_else(Default::default, |c| (c.status, c.reason, c.message))
}
