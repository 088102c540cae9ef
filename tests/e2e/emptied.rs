//! Status emptied through its subresource: the operator notices at once, without an edit and without a restart.

use kube::ResourceExt;
use provident_core::api::{OAuthClient, RETRY_CREATE, Reason};
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::{Value, json};

use crate::world::{World, attempt, is_ready};

impl World {
    /// Replaces all of status, as `kubectl replace --subresource=status` does.
    async fn replace_status(&self, name: &str, status: Value) {
        let mut object = serde_json::to_value(self.get(name).await).unwrap();
        object["status"] = status;
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients/{name}/status",
            self.namespace
        );
        let request = http::Request::put(path).header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(&object).unwrap()).unwrap();
        let _: Value = self.client.request(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_ready_object_whose_status_is_emptied_gets_it_back_at_once() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let whole = serde_json::to_value(world.get("web").await.status).unwrap();
    let part = |key: &str, value: Value| {
        let mut status = whole.clone();
        status[key] = value;
        status
    };
    let without_client = {
        let mut status = whole.clone();
        let fields = status.as_object_mut().unwrap();
        fields.remove("clientId");
        fields.remove("bindingMAC");
        status
    };
    for emptied in [
        json!({}),
        Value::Null,
        part("conditions", json!([])),
        without_client,
    ] {
        world.replace_status("web", emptied.clone()).await;
        let back = |object: &OAuthClient| {
            let status = object.status.as_ref();
            is_ready(object)
                && status.is_some_and(|status| {
                    status.client_id.as_ref() == Some(&client_id) && status.binding_mac.is_some()
                })
        };
        world
            .until("web", &format!("itself again after {emptied}"), back)
            .await;
        world.silence().await;
    }
    assert_eq!(world.emulator.commits(Operation::Create), 1);
    world.check().await;
}

#[tokio::test]
async fn a_held_object_whose_status_is_emptied_stays_held_and_is_not_created_again() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.emulator.faults().add(Rule {
        operation: Operation::Create,
        client: Some(world.vendor_name("web")),
        fault: Fault::Drop(When::AfterCommit),
        every: None,
        count: Some(1),
    });
    world.declare("web", json!({})).await;
    world
        .until_reason("web", Reason::CreateOutcomeUnknown)
        .await;
    let held = attempt(&world.get("web").await).unwrap();
    world.silence().await;
    for emptied in [json!({}), Value::Null] {
        world.replace_status("web", emptied.clone()).await;
        let back = |object: &OAuthClient| {
            attempt(object).as_ref() == Some(&held)
                && crate::world::ready(object)
                    .is_some_and(|ready| ready.reason == Reason::CreateOutcomeUnknown.as_str())
        };
        world
            .until("web", &format!("held again after {emptied}"), back)
            .await;
        world.silence().await;
        assert_eq!(world.creates("web").len(), 1);
    }
    // A person's decision is as good as before.
    let retry = json!({ "metadata": { "annotations": { RETRY_CREATE: held } } });
    world.patch("web", retry).await;
    world.until_ready("web").await;
    assert!(world.get("web").await.finalizers().len() == 1);
    world.check_with(&[("web", 1)]).await;
}
