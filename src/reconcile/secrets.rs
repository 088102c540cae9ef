//! What the watch tells of generated Secrets: of each its marks alone. Whole, they would be most of the process's memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;

use crate::secret::Marks;

/// The watched Secrets of one namespace, or of all.
#[derive(Default)]
pub struct Secrets(RwLock<Known>);

type ByName = HashMap<Box<str>, Arc<Marks>>;

#[derive(Default)]
struct Known {
    now: ByName,
    /// A list that is being read. It takes the place of `now` when it is whole.
    listed: ByName,
}

impl Secrets {
    /// Takes in one event of the watch; says whether it asks for a pass: a Secret is not as it was.
    pub fn observe(&self, event: &Event<PartialObjectMeta<Secret>>) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => {
                known.listed = ByName::new();
                false
            }
            Event::InitApply(secret) => {
                let (key, marks) = entry(secret);
                let same = known.now.get(&key).is_some_and(|before| **before == marks);
                known.listed.insert(key, Arc::new(marks));
                !same
            }
            Event::InitDone => {
                known.now = std::mem::take(&mut known.listed);
                false
            }
            Event::Apply(secret) => {
                let (key, marks) = entry(secret);
                let before = known.now.insert(key, Arc::new(marks.clone()));
                before.is_none_or(|before| *before != marks)
            }
            Event::Delete(secret) => {
                known.now.remove(&entry(secret).0);
                true
            }
        }
    }

    /// What is known of one.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<Marks>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.now.get(&key(namespace, name)).cloned()
    }

    /// Whether one of them carries a binding.
    pub fn is_some_bound(&self) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.now.values().any(|marks| marks.is_bound())
    }
}

fn entry(secret: &PartialObjectMeta<Secret>) -> (Box<str>, Marks) {
    let namespace = secret.namespace().unwrap_or_default();
    (
        key(&namespace, &secret.name_any()),
        Marks::of(&secret.metadata),
    )
}

// Neither part can hold a slash.
fn key(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}
