//! What people do: declare clients, edit them, ask for rotations, delete them.

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

/// A create whose outcome nobody knows is held until a person decides.
pub const HELD: &str = "CreateOutcomeUnknown";
/// The longest backoff, and a little.
const PATIENCE: Duration = Duration::from_mins(8);

/// The population, and what was asked of it. The same seed makes the same changes.
pub struct Churn {
    objects: Api<DynamicObject>,
    clients: usize,
    /// By name: the number in the redirect URI that was asked for last.
    there: BTreeMap<String, u64>,
    /// Names that were ever held: a client of theirs may be at the vendor that no object records.
    held: BTreeSet<String>,
    next: u64,
    made: u64,
    random: u64,
}

impl Churn {
    /// Nobody yet; `clients` in the end.
    pub fn new(env: &TestEnv, clients: usize) -> Self {
        Self {
            objects: env.objects(GROUP),
            clients,
            there: BTreeMap::new(),
            held: BTreeSet::new(),
            next: 0,
            made: 0,
            random: 42,
        }
    }

    /// The names of those that are there.
    pub fn names(&self) -> Vec<String> {
        self.there.keys().cloned().collect()
    }

    /// What was asked for last, by name.
    pub fn asked(&self) -> &BTreeMap<String, u64> {
        &self.there
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

    /// Declares clients until all are there.
    pub async fn fill(&mut self) -> Result<()> {
        let missing = self.clients.saturating_sub(self.there.len());
        let names: Vec<String> = (0..missing).map(|_| self.fresh()).collect();
        load::declare(&self.objects, GROUP, &names, drop).await?;
        self.there.extend(names.into_iter().map(|name| (name, 0)));
        Ok(())
    }

    /// One change: two in ten are a deletion, whose place is taken at once, three a rotation, the others an edit. What is
    /// held is deleted, as a person would in the end.
    pub async fn step(&mut self, witness: &Witness) -> Result<()> {
        self.made += 1;
        let stuck = witness
            .objects()
            .into_iter()
            .find(|(name, told)| told.reason == HELD && self.there.contains_key(name));
        if let Some((name, _)) = stuck {
            self.held.insert(name.clone());
            return self.replace(&name).await;
        }
        let index = usize::try_from(self.random() % self.there.len() as u64)?;
        let Some(name) = self.there.keys().nth(index).cloned() else {
            bail!("there is nobody");
        };
        match self.random() % 10 {
            0 | 1 => self.replace(&name).await,
            2..=4 => {
                let token = format!("soak-{}", self.made);
                let patch = json!({ "metadata": { "annotations": { "oauth.provident.ae/rotate": token } } });
                self.patch(&name, &patch).await
            }
            _ => {
                self.there.insert(name.clone(), self.made);
                let patch = json!({ "spec": { "redirectUris": [redirect_uri(self.made)] } });
                self.patch(&name, &patch).await
            }
        }
    }

    /// Waits until all are Ready or held, with backoff.
    pub async fn until_right(&mut self, witness: &Witness) -> Result<()> {
        let start = Instant::now();
        loop {
            let objects = witness.objects();
            let wrong: Vec<_> = objects
                .iter()
                .filter(|(_, told)| told.ready.is_none() && told.reason != HELD)
                .collect();
            for (name, told) in &objects {
                if told.reason == HELD {
                    self.held.insert(name.clone());
                }
            }
            if wrong.is_empty() && objects.len() == self.there.len() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "{} objects for {} names; not right: {wrong:?}",
                    objects.len(),
                    self.there.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn replace(&mut self, name: &str) -> Result<()> {
        self.there.remove(name);
        load::delete_all(&self.objects, &[name.to_owned()]).await?;
        self.fill().await
    }

    async fn patch(&self, name: &str, patch: &serde_json::Value) -> Result<()> {
        load::patch_all(&self.objects, &[name.to_owned()], patch).await?;
        Ok(())
    }

    // Never the same twice, so that two clients of one name are a duplicate.
    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("soak-{}", self.next)
    }

    // Numerical Recipes' linear congruence: good enough to choose by, and the same each time.
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
