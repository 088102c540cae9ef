//! Client credentials: one token for all, renewed by the operator, and reported when it cannot be obtained.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use provident_core::api::{Reason, stored_time};
use provident_emulator::{Fault, Operation, StoredClient};
use serde_json::json;

use crate::world::World;

impl World {
    /// Lets the cluster connection use client credentials, which are the emulator's administrator's.
    pub async fn use_client_credentials(&self) -> StoredClient {
        let administrator = self.emulator.administrator().unwrap();
        self.put_administrator(&administrator.client_id, &administrator.client_secret)
            .await;
        let auth = json!({ "tokenSecretRef": null, "clientCredentialsSecretRef": { "name": "provident-admin" } });
        self.edit_connection(json!({ "auth": auth })).await;
        administrator
    }

    pub async fn put_administrator(&self, id: &str, secret: &str) {
        let data = json!({ "clientId": id, "clientSecret": secret });
        self.put_secret(&self.system, "provident-admin", data).await;
    }
}

#[tokio::test]
async fn client_credentials_get_one_token_that_all_clients_share() {
    let world = World::start().await;
    world.use_client_credentials().await;
    let _operator = world.start_operator();
    for index in 0..10 {
        world.declare(&format!("client-{index}"), json!({})).await;
    }
    for index in 0..10 {
        world.until_ready(&format!("client-{index}")).await;
    }
    assert_eq!(world.emulator.count(Operation::Token), 1);
    let mut reported = None;
    let is_told = async || {
        reported = world.connection_status().await.token_expiration_time;
        reported.is_some()
    };
    world
        .eventually("status shows when the token expires", is_told)
        .await;
    let expires = reported.unwrap();
    let left = stored_time(jiff::Timestamp::now())
        .0
        .duration_until(expires.0);
    assert!((3400..=3600).contains(&left.as_secs()), "{left:?}");
    world.check().await;
}

#[tokio::test]
async fn a_revoked_token_is_replaced_without_a_second_create() {
    let world = World::start().await;
    world.use_client_credentials().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    // So that the next token is not one that follows too closely.
    world.watch_for(Duration::from_secs(5)).await;
    world.emulator.revoke_tokens();
    world
        .patch(
            "first",
            json!({ "spec": { "tokenLifetimeSeconds": 86400 } }),
        )
        .await;
    world.until_ready("first").await;
    assert_eq!(world.emulator.count(Operation::Token), 2);

    world.watch_for(Duration::from_secs(5)).await;
    world.emulator.revoke_tokens();
    world.declare("second", json!({})).await;
    world.until_ready("second").await;
    let posts: Vec<_> = world
        .creates("second")
        .iter()
        .map(|post| (post.status, post.committed))
        .collect();
    assert_eq!(posts, [(Some(401), false), (Some(201), true)]);
    world.check().await;
}

#[tokio::test]
async fn s48_client_credentials_that_are_wrong_are_told_and_their_repair_is_used_at_once() {
    let world = World::start().await;
    world.emulator.faults().set_echo_secrets_in_errors(true);
    let administrator = world.use_client_credentials().await;
    world
        .put_administrator(&administrator.client_id, "wrong-but/secret+still")
        .await;
    let _operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    world
        .until_reason("storefront", Reason::ConnectionNotReady)
        .await;
    world.until_connection(Reason::CredentialsRejected).await;
    world
        .put_administrator(&administrator.client_id, &administrator.client_secret)
        .await;
    world.until_ready("storefront").await;
    world.until_connection(Reason::Available).await;

    // Emptied, and gone, and back.
    world.put_administrator("", "").await;
    world.until_connection(Reason::CredentialsNotFound).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    secrets
        .delete("provident-admin", &DeleteParams::default())
        .await
        .unwrap();
    world.declare("second", json!({})).await;
    world
        .until_reason("second", Reason::ConnectionNotReady)
        .await;
    assert_eq!(world.creates("second").len(), 0);
    world
        .put_administrator(&administrator.client_id, &administrator.client_secret)
        .await;
    world.until_ready("second").await;
    world.check().await;
}

#[tokio::test]
async fn s52_an_absurd_lifetime_makes_no_token_loop() {
    for stated in [
        Some(json!(0)),
        Some(json!(-7)),
        Some(json!(1e300)),
        Some(json!("soon")),
        None,
    ] {
        let world = World::start().await;
        let text = format!("{stated:?}");
        world
            .emulator
            .faults()
            .always(Operation::Token, Fault::ExpiresIn(stated));
        world.use_client_credentials().await;
        let _operator = world.start_operator();
        for index in 0..5 {
            let name = format!("client-{index}");
            world.declare(&name, json!({})).await;
            world.until_ready(&name).await;
        }
        assert_eq!(world.emulator.count(Operation::Token), 1, "{text}");
        world.check().await;
    }
}
