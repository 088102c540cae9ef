//! One client, one object: which objects of the cluster record a clientId.

use parking_lot::RwLock;
use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::watcher::Event;

use crate::cluster::LenientObject;
use provident_core::api::OAuthClient;
use provident_core::vendor::types::ClientId;

/// An index clientId → objects, fed by the watch. It is complete before the first vendor call, because no pass begins
/// before the first list has been read.
#[derive(Default)]
pub struct Recorded(RwLock<HashMap<Box<str>, Vec<Holder>>>);

struct Holder {
    uid: Box<str>,
    deleting: bool,
}

impl Recorded {
    /// Takes in one event of the watch. An object that cannot be read may have a client all the same.
    pub fn observe(&self, event: &Event<LenientObject<OAuthClient>>) {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                if let (Some(client), meta) = (recorded_client(object), object.meta()) {
                    self.put(client, meta);
                }
            }
            Event::Delete(object) => {
                if let (Some(client), Some(uid)) = (recorded_client(object), &object.meta().uid) {
                    self.remove(client, uid);
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Whether an object other than `uid` records the client.
    pub fn elsewhere(&self, client: &ClientId, uid: &str) -> bool {
        self.any(client, |holder| *holder.uid != *uid)
    }

    /// The uids of other objects, not being deleted, that record the client, bound to it or not.
    pub fn others(&self, client: &ClientId, uid: &str) -> Vec<String> {
        let index = self.0.read();
        let holders = index.get(client.as_str()).into_iter().flatten();
        holders
            .filter(|holder| !holder.deleting && *holder.uid != *uid)
            .map(|holder| holder.uid.to_string())
            .collect()
    }

    /// Whether an object that is not being deleted records the client.
    pub fn by_a_living_object(&self, client: &ClientId) -> bool {
        self.any(client, |holder| !holder.deleting)
    }

    /// Takes in an object as it is now.
    pub fn set(&self, object: &OAuthClient) {
        let status = object.status.as_ref();
        if let Some(client) = status.and_then(|status| status.client_id.as_deref()) {
            self.put(client, &object.metadata);
        }
    }

    fn put(&self, client: &str, meta: &ObjectMeta) {
        let Some(uid) = meta.uid.as_deref().map(Box::from) else {
            return;
        };
        let deleting = meta.deletion_timestamp.is_some();
        let mut index = self.0.write();
        let Some(holders) = index.get_mut(client) else {
            index.insert(client.into(), vec![Holder { uid, deleting }]);
            return;
        };
        match holders.iter_mut().find(|holder| holder.uid == uid) {
            Some(holder) => holder.deleting = deleting,
            None => holders.push(Holder { uid, deleting }),
        }
    }

    fn remove(&self, client: &str, uid: &str) {
        let mut index = self.0.write();
        if let Some(holders) = index.get_mut(client) {
            holders.retain(|holder| *holder.uid != *uid);
            if holders.is_empty() {
                index.remove(client);
            }
        }
    }

    fn any(&self, client: &ClientId, test: impl Fn(&Holder) -> bool) -> bool {
        let index = self.0.read();
        index
            .get(client.as_str())
            .is_some_and(|holders| holders.iter().any(test))
    }
}

/// The client that stands in an object's status, whether the object can be read or not.
pub fn recorded_client(object: &LenientObject<OAuthClient>) -> Option<&str> {
    match &object.0 {
        Ok(object) => object.status.as_ref()?.client_id.as_deref(),
        Err(unreadable) => unreadable.status["clientId"].as_str(),
    }
}
