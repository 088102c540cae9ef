//! A clientId is a capability: one that this operator did not record for this very object is never used in a call.

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use provident_core::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_LABEL, MANAGER, Reason,
};
use provident_emulator::Operation;
use serde_json::{Value, json};

use crate::world::World;

/// A client that somebody else would like to have, and what a tenant can read of it.
struct Victim {
    client_id: String,
    binding: String,
}

async fn victim(world: &World) -> Victim {
    world.declare("victim", json!({})).await;
    let client_id = world.until_ready("victim").await;
    let status = world.get("victim").await.status.unwrap();
    Victim {
        client_id,
        binding: status.binding_mac.unwrap(),
    }
}

/// No call has named the victim's client.
fn untouched(world: &World, victim: &Victim) {
    let calls = world.emulator.calls();
    let about = calls
        .iter()
        .filter(|call| call.operation != Operation::Create);
    let about: Vec<_> = about
        .filter(|call| call.client_id.as_ref() == Some(&victim.client_id))
        .collect();
    assert!(about.is_empty(), "{about:#?}");
    assert!(world.emulator.client(&victim.client_id).unwrap().is_active);
}

#[tokio::test]
async fn s08_a_forged_client_id_in_status_is_never_asked_for_nor_deactivated() {
    let world = World::start().await;
    let operator = world.start_operator();
    let victim = victim(&world).await;
    operator.crash().await;
    world.declare("thief", json!({})).await;
    // With the victim's own binding, which is no secret.
    world
        .patch_status(
            "thief",
            json!({ "clientId": victim.client_id, "bindingMAC": victim.binding }),
        )
        .await;

    let _operator = world.start_operator();
    let message = world.until_reason("thief", Reason::BindingMismatch).await;
    assert!(message.contains("status.clientId"), "{message}");
    world.silence().await;
    assert_eq!(world.creates("thief").len(), 0);
    assert!(world.secret("thief").await.is_none());

    world.delete("thief").await;
    let waits = |object: &_| {
        crate::world::ready(object).is_some_and(|ready| ready.message.contains("deletionPolicy"))
    };
    world
        .until("thief", "the message says how to delete it", waits)
        .await;
    untouched(&world, &victim);
    world
        .patch("thief", json!({ "spec": { "deletionPolicy": "Retain" } }))
        .await;
    world.until_gone("thief").await;
    untouched(&world, &victim);
    world.check().await;
}

#[tokio::test]
async fn s08_a_forged_client_id_in_the_secret_is_never_asked_for() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let victim = victim(&world).await;
    let forged = |name: &str, owner: Value| -> Secret {
        serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": { MANAGED_LABEL: MANAGER },
                "annotations": { CLIENT_ID_ANNOTATION: victim.client_id, BINDING_ANNOTATION: victim.binding },
                "ownerReferences": owner,
            },
            "stringData": { "clientId": victim.client_id },
        }))
        .unwrap()
    };
    let secrets = world.secrets();
    secrets
        .create(&PostParams::default(), &forged("thief", json!([])))
        .await
        .unwrap();
    world.declare("thief", json!({})).await;
    let message = world.until_reason("thief", Reason::BindingMismatch).await;
    assert!(
        message.contains("spec.secret.name") && message.contains("thief"),
        "{message}"
    );

    // And with an owner reference, which a tenant can write as well: over the operator's own Secret of a client.
    world.declare("owner", json!({ "suspend": true })).await;
    let uid = world.get("owner").await.metadata.uid;
    let owner = json!([{
        "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient", "name": "owner", "uid": uid, "controller": true,
    }]);
    secrets
        .create(&PostParams::default(), &forged("owner", owner))
        .await
        .unwrap();
    world
        .patch("owner", json!({ "spec": { "suspend": false } }))
        .await;
    world.until_reason("owner", Reason::BindingMismatch).await;
    world.silence().await;
    assert_eq!(
        world.creates("thief").len() + world.creates("owner").len(),
        0
    );
    untouched(&world, &victim);
    world.check().await;
}

#[tokio::test]
async fn s08_a_forged_client_id_over_a_bound_one_stops_every_call() {
    let world = World::start().await;
    let operator = world.start_operator();
    let victim = victim(&world).await;
    world.declare("thief", json!({})).await;
    let own = world.until_ready("thief").await;
    world.silence().await;
    let calls = world.emulator.calls().len();
    world
        .patch_status("thief", json!({ "clientId": victim.client_id }))
        .await;
    // A status alone wakes nobody; the next edit or restart meets it.
    world
        .patch(
            "thief",
            json!({ "spec": { "tokenLifetimeSeconds": 86400 } }),
        )
        .await;
    world.until_reason("thief", Reason::BindingMismatch).await;
    operator.crash().await;
    let _operator = world.start_operator();
    world.silence().await;
    assert_eq!(world.emulator.calls().len(), calls, "no call at all");

    // The message's step: with the Secret in place the object is taken up by its own binding.
    world
        .patch_status("thief", json!({ "clientId": null, "bindingMAC": null }))
        .await;
    world
        .patch(
            "thief",
            json!({ "metadata": { "annotations": { "oauth.provident.ae/reconcile": "now" } } }),
        )
        .await;
    assert_eq!(world.until_ready("thief").await, own);
    untouched(&world, &victim);
    world.check().await;
}
