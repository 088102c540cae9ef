//! What becomes of the objects, and when: two watches in this process, whose cost is in every row, the floor's too.

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

/// Nothing more happens for so long: it never will.
const STUCK: Duration = Duration::from_mins(6);
/// How often the books are looked at. Times come from the events, not from this.
const LOOK: Duration = Duration::from_millis(20);

/// An object as it was last seen.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Since when `Ready=True` holds for the newest generation.
    pub ready: Option<Instant>,
    /// The reason of `Ready`.
    pub reason: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// The last request for a rotation that was carried out, and when that was seen.
    pub rotated: Option<(String, Instant)>,
    /// `status.clientId`.
    pub client_id: String,
}

#[derive(Default)]
struct Books {
    objects: HashMap<String, Told>,
    secrets: HashMap<String, Instant>,
    events: u64,
}

/// Notes what it sees. Dropping it ends the watches.
pub struct Witness {
    books: Arc<Mutex<Books>>,
    _watches: JoinSet<()>,
}

impl Witness {
    /// Watches the objects of this group and all Secrets, contents aside.
    pub fn of(env: &TestEnv, group: &str) -> Self {
        let books = Arc::new(Mutex::new(Books::default()));
        let config = || watcher::Config::default().streaming_lists();
        let objects = watcher(env.objects(group), config());
        let secrets: Api<PartialObjectMeta<Secret>> =
            Api::namespaced(env.client.clone(), NAMESPACE);
        let mut watches = JoinSet::new();
        watches.spawn(note(objects, Arc::clone(&books), object));
        watches.spawn(note(
            watcher(secrets, config()),
            Arc::clone(&books),
            |books, secret, seen| {
                if seen {
                    books
                        .secrets
                        .entry(secret.name_any())
                        .or_insert_with(Instant::now);
                } else {
                    books.secrets.remove(&secret.name_any());
                }
            },
        ));
        Self {
            books,
            _watches: watches,
        }
    }

    /// When the Secret of this name was first seen.
    pub fn secret(&self, name: &str) -> Option<Instant> {
        self.books().secrets.get(name).copied()
    }

    /// The object of this name.
    pub fn object(&self, name: &str) -> Option<Told> {
        self.books().objects.get(name).cloned()
    }

    /// All objects by name.
    pub fn objects(&self) -> HashMap<String, Told> {
        self.books().objects.clone()
    }

    /// Waits until `when` has an answer for every name; answers the last of them.
    pub async fn all(
        &self,
        names: &[String],
        when: impl Fn(&Self, &str) -> Option<Instant>,
    ) -> Result<Instant> {
        let mut missing: Vec<&String> = names.iter().collect();
        let mut last = None;
        let mut moved = (self.books().events, Instant::now());
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
            let events = self.books().events;
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
            tokio::time::sleep(LOOK).await;
        }
        Ok(last.unwrap_or_else(Instant::now))
    }

    /// Waits until every object is Ready.
    pub async fn all_ready(&self, names: &[String]) -> Result<Instant> {
        self.all(names, |witness, name| {
            witness.books().objects.get(name)?.ready
        })
        .await
    }

    /// Waits until every Secret is there.
    pub async fn all_secrets(&self, names: &[String]) -> Result<Instant> {
        self.all(names, Self::secret).await
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn note<K: Send>(
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    books: Arc<Mutex<Books>>,
    take: impl Fn(&mut Books, &K, bool) + Send,
) {
    let mut stream = std::pin::pin!(stream);
    while let Some(event) = stream.next().await {
        let (object, seen) = match &event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => (object, true),
            Ok(Event::Delete(object)) => (object, false),
            // A watch that broke off is begun again by itself.
            Ok(Event::Init | Event::InitDone) | Err(_) => continue,
        };
        let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
        books.events += 1;
        take(&mut books, object, seen);
    }
}

fn object(books: &mut Books, object: &DynamicObject, seen: bool) {
    let name = object.name_any();
    if !seen {
        books.objects.remove(&name);
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
    let told = books.objects.entry(name).or_default();
    if !is_ready || told.generation != generation {
        told.ready = None;
    }
    if is_ready {
        told.ready.get_or_insert_with(Instant::now);
    }
    if !rotated.is_empty()
        && told
            .rotated
            .as_ref()
            .is_none_or(|(token, _)| token != rotated)
    {
        told.rotated = Some((rotated.to_owned(), Instant::now()));
    }
    told.generation = generation;
    text(ready, "/reason").clone_into(&mut told.reason);
    text(status, "/clientId").clone_into(&mut told.client_id);
}
