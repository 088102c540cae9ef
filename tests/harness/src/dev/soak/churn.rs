//! The changes that users make: create clients, edit them, request rotations, delete them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use kube::{Api, core::DynamicObject};
use serde_json::json;

use crate::bench::{
    load,
    test_env::{GROUP, TestEnv},
    witness::Witness,
};

/// The reason of a create whose outcome is unknown: it is held until a person decides.
pub const HELD: &str = "CreateOutcomeUnknown";
/// The longest backoff, with a margin.
const TIMEOUT: Duration = Duration::from_mins(8);

/// The clients and the changes that were requested. The same seed makes the same changes.
pub struct Churn {
    objects: Api<DynamicObject>,
    clients: usize,
    /// The number in the redirect URI that was requested last, by name.
    present: BTreeMap<String, u64>,
    /// Names that were ever held. The vendor may have a client for them that no object records.
    held: BTreeSet<String>,
    next: u64,
    made: u64,
    random: u64,
}

impl Churn {
    /// No clients yet; [`Churn::fill`] creates `clients` of them.
    pub fn new(env: &TestEnv, clients: usize) -> Self {
        Self {
            objects: env.objects(GROUP),
            clients,
            present: BTreeMap::new(),
            held: BTreeSet::new(),
            next: 0,
            made: 0,
            random: 42,
        }
    }

    /// The names of the clients that exist.
    pub fn names(&self) -> Vec<String> {
        self.present.keys().cloned().collect()
    }

    /// What was requested last, by name.
    pub fn asked(&self) -> &BTreeMap<String, u64> {
        &self.present
    }

    /// Whether the object of this name was ever held.
    pub fn was_held(&self, name: &str) -> bool {
        self.held.contains(name)
    }

    /// How many were ever held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Changes so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// Creates clients until the number is complete.
    pub async fn fill(&mut self) -> Result<()> {
        let missing = self.clients.saturating_sub(self.present.len());
        let names: Vec<String> = (0..missing).map(|_| self.fresh()).collect();
        load::declare(&self.objects, GROUP, &names, drop).await?;
        self.present.extend(names.into_iter().map(|name| (name, 0)));
        Ok(())
    }

    /// Makes one change: of ten, two replace a client, three rotate one and five edit one. Held clients are deleted first, as a
    /// person would do in the end.
    pub async fn step(&mut self, witness: &Witness) -> Result<()> {
        self.made += 1;
        let stuck = witness
            .objects()
            .into_iter()
            .find(|(name, object)| object.reason == HELD && self.present.contains_key(name));
        if let Some((name, _)) = stuck {
            self.held.insert(name.clone());
            return self.replace(&name).await;
        }
        let index = usize::try_from(self.random() % self.present.len() as u64)?;
        let Some(name) = self.present.keys().nth(index).cloned() else {
            bail!("there are no clients");
        };
        match self.random() % 10 {
            0 | 1 => self.replace(&name).await,
            2..=4 => {
                let token = format!("soak-{}", self.made);
                let patch = json!({ "metadata": { "annotations": { "oauth.provident.ae/rotate": token } } });
                self.patch(&name, &patch).await
            }
            _ => {
                self.present.insert(name.clone(), self.made);
                let patch = json!({ "spec": { "redirectUris": [redirect_uri(self.made)] } });
                self.patch(&name, &patch).await
            }
        }
    }

    /// Waits until all are Ready or held.
    pub async fn until_settled(&mut self, witness: &Witness) -> Result<()> {
        let start = Instant::now();
        loop {
            let objects = witness.objects();
            let wrong: Vec<_> = objects
                .iter()
                .filter(|(_, object)| object.ready.is_none() && object.reason != HELD)
                .collect();
            for (name, object) in &objects {
                if object.reason == HELD {
                    self.held.insert(name.clone());
                }
            }
            if wrong.is_empty() && objects.len() == self.present.len() {
                return Ok(());
            }
            if start.elapsed() > TIMEOUT {
                bail!(
                    "{} objects for {} names; not settled: {wrong:?}",
                    objects.len(),
                    self.present.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn replace(&mut self, name: &str) -> Result<()> {
        self.present.remove(name);
        load::delete_all(&self.objects, &[name.to_owned()]).await?;
        self.fill().await
    }

    async fn patch(&self, name: &str, patch: &serde_json::Value) -> Result<()> {
        load::patch_all(&self.objects, &[name.to_owned()], patch).await?;
        Ok(())
    }

    // A name is never used twice, so two clients of one name are a duplicate.
    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("soak-{}", self.next)
    }

    // A linear congruential generator (Knuth's MMIX): good enough for choosing, and reproducible.
    fn random(&mut self) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }
}

/// The redirect URI of a change.
pub fn redirect_uri(change: u64) -> String {
    if change == 0 {
        return "https://shop.example.com/auth/callback".to_owned();
    }
    format!("https://shop.example.com/auth/{change}")
}
