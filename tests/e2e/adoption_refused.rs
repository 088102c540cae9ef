//! Adoptions that are refused: without the right, without the proof, or of what is another's.

use provident_core::api::Reason;
use serde_json::{Value, json};

use crate::adoption::adoption;
use crate::more::client_id;
use crate::world::World;

#[tokio::test]
async fn without_right_or_proof_nobody_gets_a_client() {
    let world = World::start().await;
    let made = world.make_by_hand("Victim").await;
    let _operator = world.start_operator();
    // A leaked secret in a namespace without the right: no call is made with the foreign id.
    world
        .store_secret(
            "leaked",
            json!({ "secret": made.secret, "wrong": "guessed" }),
        )
        .await;
    let spec = json!({ "adoption": adoption(&made.id, "leaked", "secret") });
    world.declare("web", spec).await;
    let words = ["spec.adoption", &world.namespace, "allowAdoption: true"];
    world
        .until_told("web", Reason::AdoptionRejected, &words)
        .await;
    assert_eq!(world.calls_for(&made.id), []);
    world.allow_adoption(true).await;
    world.until_ready("web").await;
    world.delete_without_vendor("web").await;

    let cases: [(&str, Value, &[&str]); 4] = [
        (
            "wrong",
            adoption(&made.id, "leaked", "wrong"),
            &[
                "spec.adoption.secretKeyRef",
                "not the client's current secret",
            ],
        ),
        (
            "nokey",
            adoption(&made.id, "leaked", "none"),
            &["spec.adoption.secretKeyRef", "key none"],
        ),
        (
            "nosecret",
            adoption(&made.id, "none", "secret"),
            &["spec.adoption.secretKeyRef", "Secret none does not exist"],
        ),
        (
            "noclient",
            adoption("unknown-id", "leaked", "secret"),
            &["spec.adoption.clientId", "client unknown-id does not exist"],
        ),
    ];
    for (name, adoption, words) in cases {
        world.declare(name, json!({ "adoption": adoption })).await;
        world
            .until_told(name, Reason::AdoptionRejected, words)
            .await;
        assert_eq!(client_id(&world.get(name).await), None);
        assert!(world.secret(name).await.is_none());
        assert_eq!(
            world.creates(name),
            [],
            "an adoption never becomes a create"
        );
        world.delete(name).await;
        world.until_gone(name).await;
    }
    assert!(world.emulator.client(&made.id).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_taken_over_is_left_as_it_is() {
    let world = World::start().await;
    world.allow_adoption(true).await;
    let made = world.make_by_hand("Old").await;
    let more = json!({ "clientSecret": made.secret, "PASSWORD": "of something else" });
    let before = world.store_secret("web", more).await;
    let _operator = world.start_operator();
    let spec = json!({ "adoption": adoption(&made.id, "web", "clientSecret") });
    world.declare("web", spec).await;
    let words = ["spec.adoption.secretKeyRef", "stringData", "PASSWORD"];
    world
        .until_told("web", Reason::AdoptionRejected, &words)
        .await;
    let after = world.secret("web").await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    assert_eq!(world.calls_for(&made.id), []);

    // A Secret of that name that the adoption does not name is a stranger's.
    let elsewhere = json!({ "secret": made.secret });
    world.store_secret("proof", elsewhere).await;
    let spec = json!({ "spec": { "adoption": adoption(&made.id, "proof", "secret") } });
    world.patch("web", spec).await;
    world
        .until_told("web", Reason::SecretConflict, &["spec.secret.name", "web"])
        .await;
    assert_eq!(world.calls_for(&made.id), []);
    world.check().await;
}

#[tokio::test]
async fn the_second_object_on_one_client_is_refused_until_the_first_lets_go() {
    let world = World::start().await;
    world.allow_adoption(true).await;
    let made = world.make_by_hand("Shared").await;
    world
        .store_secret("proof", json!({ "secret": made.secret }))
        .await;
    let _operator = world.start_operator();
    let spec = json!({ "adoption": adoption(&made.id, "proof", "secret") });
    for name in ["one", "two", "three"] {
        world.declare(name, spec.clone()).await;
    }
    let ready = async |name: &str| crate::world::is_ready(&world.get(name).await);
    world
        .eventually("one of them has it", async || {
            ready("one").await || ready("two").await || ready("three").await
        })
        .await;
    let mut others = Vec::new();
    let mut owner = "";
    for name in ["one", "two", "three"] {
        if ready(name).await {
            owner = name;
        } else {
            others.push(name);
        }
    }
    assert_eq!(others.len(), 2);
    for name in &others {
        let words = ["spec.adoption.clientId", "another OAuthClient"];
        world.until_told(name, Reason::ClientInUse, &words).await;
        assert!(world.secret(name).await.is_none());
    }
    for name in others {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    assert!(world.emulator.client(&made.id).unwrap().is_active);
    world.delete_without_vendor(owner).await;
    world.check().await;
}
