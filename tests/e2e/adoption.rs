//! Adoption: a client that exists already is taken over by who proves it, in place, and by nobody else.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use provident_core::api::{ALLOW_ADOPTION, ConditionType, EventReason, OAuthClient, Reason};
use provident_emulator::{Fault, Operation, When};
use serde_json::{Value, json};

use crate::more::client_id;
use crate::settled::condition_of;
use crate::world::World;

/// A client that a person made at the vendor.
pub struct HandMade {
    pub id: String,
    pub secret: String,
}

impl World {
    /// Lets this namespace take over clients, or not.
    pub async fn allow_adoption(&self, allowed: bool) {
        let rule =
            json!({ "namespaces": [self.namespace], "scopes": ["*"], "allowAdoption": allowed });
        self.edit_connection(json!({ "access": [rule] })).await;
    }

    pub async fn make_by_hand(&self, name: &str) -> HandMade {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let made: Value = http
            .post(format!("{}/oauth2/clients", self.emulator.base_url()))
            .bearer_auth(self.emulator.token())
            .header("content-type", "application/json")
            .body(
                json!({ "name": name, "redirectUris": ["https://old.example"], "allowedScopes": ["listings:read"], "rateLimitCount": 7 })
                    .to_string(),
            )
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        HandMade {
            id: text("clientId"),
            secret: text("clientSecret"),
        }
    }

    pub async fn store_secret(&self, name: &str, data: Value) -> Secret {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "app": "legacy" }, "annotations": { ALLOW_ADOPTION: name } },
            "stringData": data,
        }))
        .unwrap();
        let params = PostParams::default();
        self.secrets().create(&params, &secret).await.unwrap()
    }

    /// What the vendor was asked about a client since it was made.
    pub fn calls_for(&self, id: &str) -> Vec<Operation> {
        let calls = self.emulator.calls().into_iter();
        calls
            .filter(|call| call.client_id.as_deref() == Some(id))
            .filter(|call| call.operation != Operation::Create)
            .map(|call| call.operation)
            .collect()
    }
}

/// `spec.adoption`.
pub fn adoption(id: &str, secret: &str, key: &str) -> Value {
    json!({ "clientId": id, "secretKeyRef": { "name": secret, "key": key } })
}

#[tokio::test]
async fn a_hand_made_client_is_taken_over_in_place_with_its_settings() {
    let world = World::start().await;
    world.allow_adoption(true).await;
    let made = world.make_by_hand("Old storefront").await;
    let mounted = json!({ "CLIENT_ID": made.id, "CLIENT_SECRET": format!("{}\n", made.secret) });
    let before = world.store_secret("web", mounted).await;
    let _operator = world.start_operator();
    world
        .declare(
            "web",
            json!({
                "adoption": adoption(&made.id, "web", "CLIENT_SECRET"),
                "redirectUris": ["https://new.example"],
                "secret": { "stringData": { "CLIENT_ID": "$(clientId)", "CLIENT_SECRET": "$(clientSecret)" } },
            }),
        )
        .await;
    assert_eq!(world.until_ready("web").await, made.id);
    world.silence().await;
    let after = world.secret("web").await.unwrap();
    assert_eq!(after.uid(), before.uid(), "the very Secret that pods mount");
    assert_eq!(after.labels()["app"], "legacy");
    let data = after.data.clone().unwrap();
    assert_eq!(data["CLIENT_SECRET"].0, made.secret.as_bytes());
    let owner = &after.owner_references()[0];
    assert_eq!(
        Some(&owner.uid),
        world.get("web").await.metadata.uid.as_ref()
    );

    let vendor = world.emulator.client(&made.id).unwrap();
    assert_eq!(vendor.redirect_uris, ["https://new.example"], "stated");
    assert_eq!(
        (vendor.name.as_str(), vendor.rate_limit_count),
        ("Old storefront", 7),
        "not stated, hence left"
    );
    assert_eq!(world.creates("web"), []);
    let ours = &world.calls_for(&made.id)[..];
    assert_eq!(ours, [Operation::Get, Operation::Update]);
    let words = ["Adopted", &made.id, "redirectUris"];
    world
        .until_event_with("web", EventReason::ClientAdopted, &words)
        .await;

    // A client adopted is a client like any other.
    world.ask_for_rotation("web", "1").await;
    world.until_rotated("web", "1").await;
    let secret = world.secret("web").await.unwrap().data.unwrap();
    let vendor = world.emulator.client(&made.id).unwrap();
    assert_eq!(secret["CLIENT_SECRET"].0, vendor.client_secret.as_bytes());
    world.delete("web").await;
    world.until_gone("web").await;
    assert!(!world.emulator.client(&made.id).unwrap().is_active);
    world.check().await;
}

#[tokio::test]
async fn report_shows_what_adoption_would_change_before_anything_is_put() {
    let world = World::start().await;
    world.allow_adoption(true).await;
    let made = world.make_by_hand("Old").await;
    world
        .store_secret("proof", json!({ "secret": made.secret }))
        .await;
    let _operator = world.start_operator();
    let spec = json!({
        "adoption": adoption(&made.id, "proof", "secret"),
        "name": "New",
        "driftPolicy": "Report",
    });
    world.declare("web", spec).await;
    world.until_ready("web").await;
    let (status, reason, message) = condition_of(&world.get("web").await, ConditionType::Synced);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Drifted"));
    assert!(message.contains("differs in: name."), "{message}");
    assert_eq!(world.emulator.count(Operation::Update), 0);
    world
        .patch("web", json!({ "spec": { "driftPolicy": "Correct" } }))
        .await;
    world.until_ready("web").await;
    assert_eq!(world.emulator.client(&made.id).unwrap().name, "New");
    world.check().await;
}

#[tokio::test]
async fn adoption_is_the_way_out_of_a_hold() {
    let world = World::start().await;
    world.allow_adoption(true).await;
    let _operator = world.start_operator();
    let lost = Fault::Drop(When::AfterCommit);
    world.emulator.faults().once(Operation::Create, lost);
    world.declare("web", json!({})).await;
    let words = ["spec.adoption", "clientSecret"];
    world
        .until_told("web", Reason::CreateOutcomeUnknown, &words)
        .await;
    let made = world.only_client();
    world
        .store_secret("found", json!({ "secret": made.client_secret }))
        .await;
    let spec = json!({ "spec": { "adoption": adoption(&made.client_id, "found", "secret") } });
    world.patch("web", spec).await;
    assert_eq!(world.until_ready("web").await, made.client_id);
    let object: OAuthClient = world.get("web").await;
    assert_eq!(object.status.unwrap().create_attempt, None);
    world.check().await;
}

#[tokio::test]
async fn after_a_lost_binding_key_each_object_is_bound_again_by_its_own_secret() {
    let world = World::start().await;
    let operator = world.start_operator();
    for name in ["a", "b"] {
        world.settled(name, json!({})).await;
    }
    let before: Vec<_> = [world.get("a").await, world.get("b").await]
        .iter()
        .map(client_id)
        .collect();
    operator.crash().await;
    let system: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    let key = "provident-operator-binding-key";
    system.delete(key, &DeleteParams::default()).await.unwrap();
    let operator = world.start_operator();
    world.ask_for_verification("a").await;
    // The operator's own trouble, so no event of each client.
    let message = world.until_reason("a", Reason::BindingKeyMissing).await;
    assert!(message.contains("backup"), "{message}");
    let calls = world.emulator.calls().len();
    operator.crash().await;

    let another: Secret = serde_json::from_value(json!({
        "metadata": { "name": key },
        "immutable": true,
        "data": { "key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" },
    }))
    .unwrap();
    system
        .create(&PostParams::default(), &another)
        .await
        .unwrap();
    let _operator = world.start_operator();
    world
        .until_told(
            "a",
            Reason::BindingMismatch,
            &["status.clientId", "spec.adoption"],
        )
        .await;
    let known = |id: &Option<String>| world.calls_for(id.as_ref().unwrap()).len();
    let asked: Vec<_> = before.iter().map(known).collect();
    assert_eq!(
        world.operations_from(calls),
        [],
        "an unproven clientId is used in no call: {asked:?}"
    );

    world.allow_adoption(true).await;
    for (name, id) in ["a", "b"].iter().zip(&before) {
        world.ask_for_verification(name).await;
        assert_eq!(Some(world.until_ready(name).await), *id);
        world.credential(name).await;
    }
    world.allow_adoption(false).await;
    world.silence().await;
    for name in ["a", "b"] {
        world.verify_now(name).await;
        world.until_ready(name).await;
    }
    assert_eq!(world.emulator.commits(Operation::Create), 2);
    assert_eq!(world.emulator.count(Operation::Rotate), 0);
    world.check().await;
}
