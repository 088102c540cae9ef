//! The uid of the namespace of each object. By object, since a namespace of the same name may follow.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// The uid of the namespace of each object, by the object's uid. `None`: it cannot be read.
#[derive(Default)]
pub struct NamespaceUids(RwLock<HashMap<Box<str>, Option<Arc<str>>>>);

impl NamespaceUids {
    /// What is known of the namespace of this object; `None` if it was not read yet.
    pub fn get(&self, object: &str) -> Option<Option<Arc<str>>> {
        self.0.read().get(object).cloned()
    }

    /// Takes in what was read, for all these objects of the namespace. What is known stays.
    pub fn set(&self, objects: impl Iterator<Item = String>, uid: Option<&Arc<str>>) {
        let mut known = self.0.write();
        for object in objects {
            known
                .entry(object.into_boxed_str())
                .or_insert_with(|| uid.cloned());
        }
    }

    /// Drops what is kept of an object that is gone.
    pub fn forget(&self, object: &str) {
        self.0.write().remove(object);
    }
}
