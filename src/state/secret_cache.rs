//! The generated Secrets as the watch shows them: only the metadata the operator needs, because whole Secrets would take up
//! most of the process's memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;

use provident_core::secret::SecretMetadata;

/// The watched Secrets of one namespace, or of all.
#[derive(Default)]
pub struct Secrets(RwLock<Known>);

type ByName = HashMap<Box<str>, Arc<SecretMetadata>>;

#[derive(Default)]
struct Known {
    now: ByName,
    /// A list that is being read. It takes the place of `now` when it is whole.
    listed: ByName,
}

impl Secrets {
    /// Records one event of the watch. Returns whether it requires a reconcile, because a Secret changed.
    pub fn observe(&self, event: &Event<PartialObjectMeta<Secret>>) -> bool {
        let mut known = self.0.write();
        match event {
            Event::Init => {
                known.listed = ByName::new();
                false
            }
            Event::InitApply(secret) => {
                let (key, marks) = entry(secret);
                let changed = known.now.get(&key) != Some(&marks);
                known.listed.insert(key, marks);
                changed
            }
            Event::InitDone => {
                known.now = std::mem::take(&mut known.listed);
                false
            }
            Event::Apply(secret) => {
                let (key, marks) = entry(secret);
                let before = known.now.insert(key, Arc::clone(&marks));
                before.as_ref() != Some(&marks)
            }
            Event::Delete(secret) => {
                known.now.remove(&entry(secret).0);
                true
            }
        }
    }

    /// What is known of one.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<SecretMetadata>> {
        let known = self.0.read();
        known.now.get(&key(namespace, name)).cloned()
    }

    /// Whether one of them carries a binding.
    pub fn is_some_bound(&self) -> bool {
        let known = self.0.read();
        known.now.values().any(|marks| marks.is_bound())
    }
}

fn entry(secret: &PartialObjectMeta<Secret>) -> (Box<str>, Arc<SecretMetadata>) {
    let namespace = secret.namespace().unwrap_or_default();
    (
        key(&namespace, &secret.name_any()),
        Arc::new(SecretMetadata::of(&secret.metadata)),
    )
}

// Neither part can hold a slash.
fn key(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provident_core::api::BINDING_ANNOTATION;

    fn secret(name: &str, version: &str) -> PartialObjectMeta<Secret> {
        serde_json::from_value(serde_json::json!({
            "metadata": { "namespace": "shop", "name": name, "resourceVersion": version,
                "annotations": { BINDING_ANNOTATION: "mac" } },
        }))
        .unwrap()
    }

    #[test]
    fn a_list_that_is_read_again_asks_for_what_has_changed_only() {
        let secrets = Secrets::default();
        for asks in [true, false] {
            assert!(!secrets.observe(&Event::Init));
            assert_eq!(secrets.observe(&Event::InitApply(secret("a", "1"))), asks);
            assert!(!secrets.observe(&Event::InitDone));
        }
        assert!(secrets.observe(&Event::Apply(secret("a", "2"))));
        assert!(!secrets.observe(&Event::Apply(secret("a", "2"))));
        assert!(secrets.observe(&Event::Delete(secret("a", "3"))));
        assert_eq!(secrets.get("shop", "a"), None);
    }

    #[test]
    fn what_is_known_stands_until_the_next_list_is_whole() {
        let secrets = Secrets::default();
        secrets.observe(&Event::Apply(secret("a", "1")));
        secrets.observe(&Event::Init);
        secrets.observe(&Event::InitApply(secret("b", "2")));
        assert!(secrets.get("shop", "a").is_some() && secrets.get("shop", "b").is_none());
        secrets.observe(&Event::InitDone);
        assert!(secrets.get("shop", "a").is_none() && secrets.get("shop", "b").is_some());
        assert!(secrets.is_some_bound());
    }
}
