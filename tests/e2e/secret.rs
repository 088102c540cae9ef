//! A Secret that cannot be written, or is somebody else's: no client that cannot be stored, and none that is lost.

use std::collections::BTreeMap;

use harness::faults::{Effect, Fault};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use provident_core::api::{ConditionType, OAuthClient, Reason};
use provident_emulator::{Operation, When};
use serde_json::json;

use crate::more::{client_id, reason, uid};
use crate::requests::{secret_write, sent, status_write, strike_from, strike_nth};
use crate::world::{World, is_ready, is_stalled};

fn a_strangers(name: &str) -> Secret {
    let data = BTreeMap::from([("theirs".to_owned(), ByteString(b"untouched".to_vec()))]);
    let mut secret = Secret {
        data: Some(data),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    secret
}

fn status_of(object: &OAuthClient, type_: ConditionType) -> &str {
    object
        .condition(type_)
        .map_or("", |condition| &condition.status)
}

#[tokio::test]
async fn s17_a_secret_refused_after_the_post_leaves_the_client_id_in_status_at_once() {
    let world = World::start().await;
    let operator = world.start_operator();
    let writes = secret_write(&world);
    let refuse = Fault::before(Effect::Answer(403));
    strike_from(&operator.faults, 1, writes.clone(), refuse);
    world.declare("web", json!({})).await;

    let words = ["Secret web (403)", "quotas", "rights"];
    let refused = world
        .until_told("web", Reason::SecretWriteDenied, &words)
        .await;
    let client = world.only_client().client_id;
    assert_eq!(client_id(&refused).as_ref(), Some(&client));
    assert_eq!(status_of(&refused, ConditionType::SecretReady), "False");
    let status = refused.status.unwrap();
    assert!(status.binding_mac.is_some() && status.create_attempt.is_none());
    // In the same pass: the next thing asked for this object is the status write.
    let records = operator.faults.records().into_iter();
    let next = records
        .map(|record| record.request)
        .filter(|request| {
            !request.is_background() && request.resource != "clusterprovidentconnections"
        })
        .skip_while(|request| !writes(request))
        .nth(1)
        .unwrap();
    assert!(status_write(&world, "web")(&next), "{next:?}");

    operator.faults.clear();
    world.until_ready("web").await;
    assert_eq!(world.creates("web").len(), 1);
    assert_eq!(world.only_client().client_id, client);
    world.check().await;
}

impl World {
    /// A quota of one Secret, in force.
    pub async fn one_secret_only(&self) -> Api<ResourceQuota> {
        let quotas: Api<ResourceQuota> = Api::namespaced(self.client.clone(), &self.namespace);
        let quota = json!({ "metadata": { "name": "secrets" }, "spec": { "hard": { "count/secrets": "1" } } });
        let quota = serde_json::from_value(quota).unwrap();
        quotas.create(&PostParams::default(), &quota).await.unwrap();
        // Until its usage is counted, a quota admits nothing.
        self.eventually("the quota is counted", async || {
            let status = quotas.get("secrets").await.unwrap().status;
            status.is_some_and(|status| status.used.is_some_and(|used| !used.is_empty()))
        })
        .await;
        quotas
    }
}

#[tokio::test]
async fn s17_two_clients_and_a_quota_with_one_slot_left_lose_nothing() {
    let world = World::start().await;
    let quotas = world.one_secret_only().await;

    // Both dry runs meet the free slot, and both creates are under way before either Secret is written.
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::BeforeCommit);
    let _operator = world.start_operator();
    let names = ["one", "two"];
    for name in names {
        world.declare(name, json!({})).await;
    }
    world.arrived(&gate, 2).await;
    gate.release();
    let mut refused = None;
    world
        .eventually("one is ready, the other refused", async || {
            let objects = [world.get("one").await, world.get("two").await];
            let [one, two] = objects.each_ref().map(is_ready);
            refused = objects
                .into_iter()
                .find(|object| reason(object) == Reason::SecretWriteDenied.as_str());
            (one || two) && refused.is_some()
        })
        .await;
    let refused = refused.unwrap();
    let recorded = client_id(&refused).unwrap();
    assert!(world.emulator.client(&recorded).unwrap().is_active);

    let raised = json!({ "spec": { "hard": { "count/secrets": "2" } } });
    let params = PatchParams::default();
    quotas
        .patch("secrets", &params, &Patch::Merge(&raised))
        .await
        .unwrap();
    for name in names {
        world.until_ready(name).await;
        assert_eq!(world.creates(name).len(), 1);
    }
    assert_eq!(
        client_id(&world.get(&refused.name_any()).await),
        Some(recorded)
    );
    world.check().await;
}

#[tokio::test]
async fn s17_an_admission_policy_that_would_refuse_the_secret_means_no_post() {
    let world = World::start().await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client.clone());
    let name = format!("no-secrets-in-{}", world.namespace);
    let policy = json!({
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"],
            }]},
            "validations": [{ "expression": "false", "message": "no Secrets by hand" }],
        },
    });
    let binding = json!({
        "metadata": { "name": name },
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.namespace } } },
        },
    });
    let (policy, binding) = (
        serde_json::from_value(policy).unwrap(),
        serde_json::from_value(binding).unwrap(),
    );
    policies
        .create(&PostParams::default(), &policy)
        .await
        .unwrap();
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let denied = async || {
        world
            .secrets()
            .create(&dry_run, &a_strangers("x"))
            .await
            .is_err()
    };
    world.eventually("the policy is in force", denied).await;

    let operator = world.start_operator();
    world.declare("web", json!({})).await;
    let words = [
        "Secret web",
        "no client is created",
        &name,
        "no Secrets by hand",
    ];
    let refused = world
        .until_told("web", Reason::SecretWriteDenied, &words)
        .await;
    let status = refused.status.unwrap();
    assert!(status.create_attempt.is_none() && status.client_id.is_none());
    assert_eq!(world.creates("web"), []);
    assert_eq!(sent(&operator.faults, &secret_write(&world)), 0);

    bindings
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    policies
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn s18_a_strangers_secret_is_left_alone_and_nothing_is_created() {
    let world = World::start().await;
    let secrets = world.secrets();
    let theirs = secrets
        .create(&PostParams::default(), &a_strangers("web"))
        .await
        .unwrap();
    let operator = world.start_operator();
    world.declare("web", json!({})).await;

    let words = ["spec.secret.name", "Secret web exists", "Delete the Secret"];
    let refused = world
        .until_told("web", Reason::SecretConflict, &words)
        .await;
    assert!(is_stalled(&refused));
    assert_eq!(status_of(&refused, ConditionType::SecretReady), "False");
    assert_eq!(world.secret("web").await, Some(theirs));
    assert_eq!(world.creates("web"), []);
    assert_eq!(sent(&operator.faults, &secret_write(&world)), 0);

    // The first way out that the message names.
    secrets
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    world.until_ready("web").await;
    assert!(!is_stalled(&world.get("web").await));
    world.check().await;
}

#[tokio::test]
async fn s18_of_two_objects_with_one_secret_name_one_gets_it() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let same = || json!({ "secret": { "name": "shared" } });
    tokio::join!(world.declare("one", same()), world.declare("two", same()));
    let mut pair = None;
    world
        .eventually("one has it, and the other says so", async || {
            let (one, two) = (world.get("one").await, world.get("two").await);
            let (winner, loser) = if is_ready(&one) {
                (one, two)
            } else {
                (two, one)
            };
            let done = is_ready(&winner) && reason(&loser) == Reason::SecretConflict.as_str();
            pair = Some((winner, loser));
            done
        })
        .await;
    let (winner, loser) = pair.unwrap();
    let secret = world.secret("shared").await.unwrap();
    assert_eq!(secret.owner_references()[0].uid, uid(&winner));
    assert_eq!(world.creates(&winner.name_any()).len(), 1);
    assert_eq!(world.creates(&loser.name_any()), []);
    assert_eq!(client_id(&loser), None);
    world.check().await;
}

#[tokio::test]
async fn s19_a_strangers_secret_between_dry_run_and_write_is_not_overwritten() {
    let world = World::start().await;
    let operator = world.start_operator();
    let secrets = world.secrets();
    let intrude = Effect::run(move |_| {
        let secrets = secrets.clone();
        async move {
            let theirs = a_strangers("web");
            secrets
                .create(&PostParams::default(), &theirs)
                .await
                .unwrap();
        }
    });
    let first_write = secret_write(&world);
    strike_nth(&operator.faults, 1, first_write, Fault::before(intrude));
    world.declare("web", json!({})).await;

    let words = ["spec.secret.name", "Secret web exists", "Delete the Secret"];
    let refused = world
        .until_told("web", Reason::SecretConflict, &words)
        .await;
    let client = world.only_client().client_id;
    assert_eq!(client_id(&refused).as_ref(), Some(&client));
    let theirs = world.secret("web").await.unwrap();
    assert_eq!(theirs.data, a_strangers("web").data);
    assert!(theirs.owner_references().is_empty() && theirs.annotations().is_empty());

    world
        .secrets()
        .delete("web", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(world.until_ready("web").await, client);
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}
