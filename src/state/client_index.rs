//! One client, one object: which objects of the cluster record a clientId.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::watcher::Event;
use parking_lot::RwLock;
use provident_core::api::OAuthClient;
use provident_core::vendor::types::ClientId;

use crate::cluster::LenientObject;

/// An index clientId → objects, fed by the watch. It is complete before the first vendor request, because no reconcile starts
/// before the first list has been read.
#[derive(Default)]
pub struct ClientIndex(RwLock<Index>);

#[derive(Default)]
struct Index {
    holders: HashMap<Box<str>, Vec<Holder>>,
    /// The client that each object records, by uid, so that a former one can be dropped.
    clients: HashMap<Box<str>, Box<str>>,
}

struct Holder {
    uid: Box<str>,
    deleting: bool,
}

impl ClientIndex {
    /// Takes in one event of the watch. An object that cannot be decoded may record a client all the same.
    pub fn observe(&self, event: &Event<LenientObject<OAuthClient>>) {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                self.0.write().put(recorded_client(object), object.meta());
            }
            Event::Delete(object) => {
                if let Some(uid) = &object.meta().uid {
                    self.0.write().remove(uid);
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Takes in an object as it is now.
    pub fn set(&self, object: &OAuthClient) {
        let status = object.status.as_ref();
        let client = status.and_then(|status| status.client_id.as_deref());
        self.0.write().put(client, &object.metadata);
    }

    /// Whether an object other than `uid` records the client.
    pub fn is_recorded_elsewhere(&self, client: &ClientId, uid: &str) -> bool {
        self.any(client, |holder| *holder.uid != *uid)
    }

    /// The uids of other objects, not being deleted, that record the client, bound to it or not.
    pub fn other_holders(&self, client: &ClientId, uid: &str) -> Vec<String> {
        let index = self.0.read();
        let holders = index.holders.get(client.as_str()).into_iter().flatten();
        holders
            .filter(|holder| !holder.deleting && *holder.uid != *uid)
            .map(|holder| holder.uid.to_string())
            .collect()
    }

    /// Whether an object that is not being deleted records the client.
    pub fn is_held_by_living_object(&self, client: &ClientId) -> bool {
        self.any(client, |holder| !holder.deleting)
    }

    fn any(&self, client: &ClientId, test: impl Fn(&Holder) -> bool) -> bool {
        let index = self.0.read();
        let holders = index.holders.get(client.as_str());
        holders.is_some_and(|holders| holders.iter().any(test))
    }
}

impl Index {
    fn put(&mut self, client: Option<&str>, meta: &ObjectMeta) {
        let Some(uid) = meta.uid.as_deref() else {
            return;
        };
        if self.clients.get(uid).map(|former| &**former) != client {
            self.remove(uid);
        }
        let Some(client) = client else { return };
        let deleting = meta.deletion_timestamp.is_some();
        let holders = self.holders.entry(client.into()).or_default();
        if let Some(holder) = holders.iter_mut().find(|holder| *holder.uid == *uid) {
            holder.deleting = deleting;
        } else {
            holders.push(Holder {
                uid: uid.into(),
                deleting,
            });
            self.clients.insert(uid.into(), client.into());
        }
    }

    fn remove(&mut self, uid: &str) {
        let Some(client) = self.clients.remove(uid) else {
            return;
        };
        if let Some(holders) = self.holders.get_mut(&client) {
            holders.retain(|holder| *holder.uid != *uid);
            if holders.is_empty() {
                self.holders.remove(&client);
            }
        }
    }
}

/// The client that an object's status records, whether the object can be decoded or not.
#[must_use]
pub fn recorded_client(object: &LenientObject<OAuthClient>) -> Option<&str> {
    match &object.0 {
        Ok(object) => object.status.as_ref()?.client_id.as_deref(),
        Err(invalid) => invalid.status["clientId"].as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str, client: Option<&str>) -> OAuthClient {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
            "metadata": { "name": "storefront", "namespace": "shop", "uid": uid },
            "spec": { "allowedScopes": [] }, "status": { "clientId": client },
        }))
        .unwrap()
    }

    #[test]
    fn an_object_that_records_another_client_no_longer_holds_the_former_one() {
        let index = ClientIndex::default();
        let [former, present] = ["c1", "c2"].map(|id| ClientId::parse(id).unwrap());
        index.set(&object("u1", Some("c1")));
        assert_eq!(index.other_holders(&former, "u2"), ["u1"]);
        index.set(&object("u1", Some("c2")));
        assert!(index.other_holders(&former, "u2").is_empty());
        assert_eq!(index.other_holders(&present, "u2"), ["u1"]);
        index.set(&object("u1", None));
        assert!(!index.is_held_by_living_object(&present));
        let inner = index.0.read();
        assert!(inner.holders.is_empty() && inner.clients.is_empty());
    }
}
