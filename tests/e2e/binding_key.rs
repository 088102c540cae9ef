//! The binding key's Secret: lost while the operator runs, and made on a first start among what others left.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use provident_core::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_LABEL, MANAGER, ROTATE, Reason,
};
use provident_emulator::Operation;
use serde_json::json;

use crate::rights::Mode;
use crate::world::World;

const KEY_SECRET: &str = "provident-operator-binding-key";

impl World {
    fn keys(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.system)
    }

    async fn key(&self) -> Option<ByteString> {
        let secret = self.keys().get_opt(KEY_SECRET).await.unwrap()?;
        Some(secret.data?["key"].clone())
    }

    async fn delete_key(&self) {
        let params = DeleteParams::default();
        self.keys().delete(KEY_SECRET, &params).await.unwrap();
    }

    async fn until_connection_event(&self, text: &str) {
        // Events about a cluster connection are in namespace default.
        let reported = async || {
            let list = self
                .get_json("/apis/events.k8s.io/v1/namespaces/default/events")
                .await;
            list["items"].as_array().unwrap().iter().any(|event| {
                event["regarding"]["name"] == self.connection.as_str()
                    && event["reason"] == Reason::BindingKeyMissing.as_str()
                    && event["note"].as_str().unwrap_or_default().contains(text)
            })
        };
        self.eventually("an event about the connection", reported)
            .await;
    }
}

fn sent_rotations(world: &World) -> usize {
    world.emulator.count(Operation::Rotate)
}

#[tokio::test]
async fn a_binding_key_that_is_deleted_while_the_operator_runs_is_written_back() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let key = world.key().await.unwrap();
    world.delete_key().await;
    let back = async || world.key().await.as_ref() == Some(&key);
    world.eventually("the same key is back", back).await;
    let secret = world.keys().get(KEY_SECRET).await.unwrap();
    assert_eq!(secret.immutable, Some(true));
    world.until_connection_event("wrote it back").await;
    assert!(world.log.text().contains("wrote it back from memory"));
    let counted = "provident_operator_binding_key_restored_total 1";
    assert!(operator.metrics.text().contains(counted));
    // Nothing is lost: a restart recognises every client, and writes nothing.
    world.silence().await;
    operator.crash().await;
    let operator = world.start_operator();
    world.silence().await;
    assert_eq!(operator.faults.writes(), 0);
    world.settled("new", json!({})).await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}

#[tokio::test]
async fn while_the_binding_key_is_another_one_nothing_is_created_or_rotated() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let mut former = world.keys().get(KEY_SECRET).await.unwrap();
    former.metadata = kube::core::ObjectMeta {
        name: Some(KEY_SECRET.to_owned()),
        ..Default::default()
    };
    world.delete_key().await;
    let other = Secret {
        data: Some([("key".to_owned(), ByteString(vec![7; 32]))].into()),
        ..former.clone()
    };
    let params = PostParams::default();
    world.keys().create(&params, &other).await.unwrap();
    let message = world.until_connection(Reason::BindingKeyMissing).await;
    assert!(message.contains(KEY_SECRET), "{message}");
    let missing = "provident_operator_binding_key_missing 1";
    assert!(operator.metrics.text().contains(missing));
    world.declare("new", json!({})).await;
    let message = world.until_reason("new", Reason::BindingKeyMissing).await;
    assert!(message.contains(KEY_SECRET), "{message}");
    let rotate = json!({ "metadata": { "annotations": { ROTATE: "now" } } });
    world.patch("web", rotate).await;
    world.until_reason("web", Reason::BindingKeyMissing).await;
    assert_eq!(world.creates("new").len() + sent_rotations(&world), 0);
    // The key is put back, and what waited goes on without a restart.
    world.delete_key().await;
    world.keys().create(&params, &former).await.unwrap();
    world.until_connection(Reason::Available).await;
    world.until_ready("new").await;
    world.until_ready("web").await;
    let rotated = async || sent_rotations(&world) == 1;
    world.eventually("the rotation is sent", rotated).await;
    world.check().await;
}

#[tokio::test]
async fn a_planted_binding_does_not_keep_a_first_start_from_making_its_key() {
    for mode in [Mode::Namespaces, Mode::UnwatchedSecrets] {
        let world = World::start_as(mode).await;
        let planted: Secret = serde_json::from_value(json!({ "metadata": {
            "name": "web",
            "labels": { MANAGED_LABEL: MANAGER },
            "annotations": { BINDING_ANNOTATION: "00", CLIENT_ID_ANNOTATION: "c1" },
        }}))
        .unwrap();
        let params = PostParams::default();
        world.secrets().create(&params, &planted).await.unwrap();
        world
            .declare("web", json!({ "secret": { "name": "web" } }))
            .await;
        world.declare("other", json!({})).await;
        let _operator = world.start_operator();
        world.until_ready("other").await;
        // The message about whose Secret it is goes to whoever declared the object of that name.
        world.until_reason("web", Reason::BindingMismatch).await;
        assert!(world.key().await.is_some());
        world.check().await;
    }
}

#[tokio::test]
async fn a_lost_binding_key_is_reported_with_the_objects_that_need_it_and_the_way_out() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    operator.crash().await;
    world.delete_key().await;
    let operator = world.start_operator();
    let message = world.until_connection(Reason::BindingKeyMissing).await;
    let name = format!("{}/web", world.namespace);
    for word in [KEY_SECRET, &name, "backup", "Retain"] {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
    world.declare("new", json!({})).await;
    let message = world.until_reason("new", Reason::BindingKeyMissing).await;
    assert!(message.contains(&name), "{message}");
    assert!(world.log.text().contains(&name));
    let missing = "provident_operator_binding_key_missing 1";
    assert!(operator.metrics.text().contains(missing));
    // The way out without a backup.
    let retain = json!({ "spec": { "deletionPolicy": "Retain" } });
    world.patch("web", retain).await;
    world.delete("web").await;
    world.until_ready("new").await;
    world.check().await;
}
