//! Observes when objects become ready, with two watches in this process. Their cost is part of every row, including the floor's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::Value;
use tokio::task::JoinSet;

use super::test_env::{NAMESPACE, TestEnv, text};

/// Without an event for this long, the objects are stuck.
const STUCK: Duration = Duration::from_mins(6);
/// How often waiting functions check. The times that they return come from the events.
const POLL: Duration = Duration::from_millis(20);

/// The last observed state of an object.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Since when `Ready=True` holds for the newest generation.
    pub ready: Option<Instant>,
    /// The reason of `Ready`.
    pub reason: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// The last rotation request that was carried out, and when this was observed.
    pub rotated: Option<(String, Instant)>,
    /// `status.clientId`.
    pub client_id: String,
}

#[derive(Default)]
struct Observations {
    objects: HashMap<String, Observed>,
    secrets: HashMap<String, Instant>,
    events: u64,
}

/// Records what its watches report. Dropping it ends the watches.
pub struct Witness {
    observations: Arc<Mutex<Observations>>,
    _watches: JoinSet<()>,
}

impl Witness {
    /// Watches the objects of this group, and the metadata of all Secrets.
    pub fn of(env: &TestEnv, group: &str) -> Self {
        let observations = Arc::new(Mutex::new(Observations::default()));
        let config = || watcher::Config::default().streaming_lists();
        let objects = watcher(env.objects(group), config());
        let secrets: Api<PartialObjectMeta<Secret>> =
            Api::namespaced(env.client.clone(), NAMESPACE);
        let mut watches = JoinSet::new();
        watches.spawn(note(objects, Arc::clone(&observations), object));
        watches.spawn(note(
            watcher(secrets, config()),
            Arc::clone(&observations),
            |observations, secret, seen| {
                if seen {
                    observations
                        .secrets
                        .entry(secret.name_any())
                        .or_insert_with(Instant::now);
                } else {
                    observations.secrets.remove(&secret.name_any());
                }
            },
        ));
        Self {
            observations,
            _watches: watches,
        }
    }

    /// When the Secret of this name was first observed.
    pub fn secret(&self, name: &str) -> Option<Instant> {
        self.observations().secrets.get(name).copied()
    }

    /// The object of this name.
    pub fn object(&self, name: &str) -> Option<Observed> {
        self.observations().objects.get(name).cloned()
    }

    /// All objects by name.
    pub fn objects(&self) -> HashMap<String, Observed> {
        self.observations().objects.clone()
    }

    /// Waits until `when` returns a time for every name, and returns the last of them.
    pub async fn all(
        &self,
        names: &[String],
        when: impl Fn(&Self, &str) -> Option<Instant>,
    ) -> Result<Instant> {
        let mut missing: Vec<&String> = names.iter().collect();
        let mut last = None;
        let mut moved = (self.observations().events, Instant::now());
        while !missing.is_empty() {
            missing.retain(|name| match when(self, name) {
                Some(at) => {
                    last = last.max(Some(at));
                    false
                }
                None => true,
            });
            if missing.is_empty() {
                break;
            }
            let events = self.observations().events;
            if events != moved.0 {
                moved = (events, Instant::now());
            }
            if moved.1.elapsed() > STUCK {
                let name = missing[0];
                bail!(
                    "{} objects are stuck; {name}: {:?}",
                    missing.len(),
                    self.object(name)
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// Waits until every object is Ready.
    pub async fn all_ready(&self, names: &[String]) -> Result<Instant> {
        self.all(names, |witness, name| {
            witness.observations().objects.get(name)?.ready
        })
        .await
    }

    /// Waits until every Secret exists.
    pub async fn all_secrets(&self, names: &[String]) -> Result<Instant> {
        self.all(names, Self::secret).await
    }

    fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn note<K: Send>(
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    observations: Arc<Mutex<Observations>>,
    take: impl Fn(&mut Observations, &K, bool) + Send,
) {
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let (object, seen) = match &event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => (object, true),
            Ok(Event::Delete(object)) => (object, false),
            // The watcher reconnects.
            Ok(Event::Init | Event::InitDone) | Err(_) => continue,
        };
        let mut observations = observations.lock().unwrap_or_else(PoisonError::into_inner);
        observations.events += 1;
        take(&mut observations, object, seen);
    }
}

fn object(observations: &mut Observations, object: &DynamicObject, seen: bool) {
    let name = object.name_any();
    if !seen {
        observations.objects.remove(&name);
        return;
    }
    let (generation, status) = (
        object.metadata.generation.unwrap_or_default(),
        &object.data["status"],
    );
    let ready = status["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"))
        .unwrap_or(&Value::Null);
    let is_ready = text(ready, "/status") == "True" && status["observedGeneration"] == generation;
    let rotated = text(status, "/lastHandledRotate");
    let observed = observations.objects.entry(name).or_default();
    if !is_ready || observed.generation != generation {
        observed.ready = None;
    }
    if is_ready {
        observed.ready.get_or_insert_with(Instant::now);
    }
    if !rotated.is_empty()
        && observed
            .rotated
            .as_ref()
            .is_none_or(|(token, _)| token != rotated)
    {
        observed.rotated = Some((rotated.to_owned(), Instant::now()));
    }
    observed.generation = generation;
    text(ready, "/reason").clone_into(&mut observed.reason);
    text(status, "/clientId").clone_into(&mut observed.client_id);
}
