//! A namespace that is deleted and created again under the same name: its next tenant inherits nothing, and a restore into it
//! goes on with its clients.

use harness::faults::{Effect, Fault as ClusterFault};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use provident_core::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, MANAGED_LABEL, MANAGER, OAuthClient, Reason,
};
use provident_emulator::Operation;
use serde_json::{Value, json};

use crate::dying::LASTING;
use crate::world::World;

impl World {
    /// Deletes the namespace and creates one of the same name. Clients stay as they are at the vendor: no operator may run, or
    /// each object must be one to retain.
    async fn recycle(&self) {
        let objects = self.objects().list(&ListParams::default()).await.unwrap();
        for object in objects {
            let stripped = json!({ "metadata": { "finalizers": null } });
            self.patch(&object.name_any(), stripped).await;
        }
        let all: Api<Namespace> = Api::all(self.client.clone());
        let params = DeleteParams::default();
        all.delete(&self.namespace, &params).await.unwrap();
        let gone = async || all.get_opt(&self.namespace).await.unwrap().is_none();
        self.eventually("the namespace is gone", gone).await;
        let again = Namespace {
            metadata: ObjectMeta {
                name: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        all.create(&PostParams::default(), &again).await.unwrap();
    }

    /// The Secret as Velero restores it: without owners, uid and version.
    async fn restorable(&self, name: &str) -> Secret {
        let mut secret = self.secret(name).await.unwrap();
        secret.metadata = ObjectMeta {
            name: secret.metadata.name,
            labels: secret.metadata.labels,
            annotations: secret.metadata.annotations,
            ..ObjectMeta::default()
        };
        secret
    }

    async fn plant(&self, secret: &Secret) {
        let params = PostParams::default();
        self.secrets().create(&params, secret).await.unwrap();
    }
}

/// What a former tenant may have kept: everything but the client's secret of today.
struct Kept {
    client_id: String,
    binding: String,
}

async fn kept(world: &World, name: &str) -> Kept {
    let status = world.get(name).await.status.unwrap();
    Kept {
        client_id: status.client_id.unwrap(),
        binding: status.binding_mac.unwrap(),
    }
}

fn planted(name: &str, kept: &Kept, owner: Option<&OAuthClient>, data: Value) -> Secret {
    let owners: Vec<Value> = owner
        .iter()
        .map(|owner| {
            json!({
                "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient", "controller": true,
                "name": owner.name_any(), "uid": owner.uid(),
            })
        })
        .collect();
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": { MANAGED_LABEL: MANAGER },
            "annotations": { CLIENT_ID_ANNOTATION: kept.client_id, BINDING_ANNOTATION: kept.binding },
            "ownerReferences": owners,
        },
        "stringData": data,
    }))
    .unwrap()
}

#[tokio::test]
async fn s08_the_next_tenant_of_a_namespace_name_gets_no_secret_with_a_binding_that_was_kept() {
    let world = World::start_as(LASTING).await;
    let operator = world.start_operator();
    let names = ["secret", "owned", "status", "both"];
    for name in names {
        world.settled(name, json!({})).await;
    }
    let mut victims = Vec::new();
    for name in names {
        victims.push(kept(&world, name).await);
    }
    operator.crash().await;
    world.recycle().await;

    let suspended = json!({ "suspend": true });
    for name in names {
        world.declare(name, suspended.clone()).await;
    }
    // Whatever the next tenant can write: Secrets with a guess, owned or not, and, with more rights than most have, status.
    let guess = json!({ "clientId": victims[0].client_id, "clientSecret": "a guess" });
    world
        .plant(&planted("secret", &victims[0], None, guess.clone()))
        .await;
    let owner = world.get("owned").await;
    world
        .plant(&planted("owned", &victims[1], Some(&owner), json!({})))
        .await;
    for (name, kept) in [("status", &victims[2]), ("both", &victims[3])] {
        let forged = json!({ "clientId": kept.client_id, "bindingMAC": kept.binding });
        world.patch_status(name, forged).await;
    }
    world
        .plant(&planted("both", &victims[3], None, guess))
        .await;
    let _operator = world.start_operator();
    for name in names {
        world
            .patch(name, json!({ "spec": { "suspend": false } }))
            .await;
        world.until_reason(name, Reason::BindingMismatch).await;
    }
    world.silence().await;
    for (name, victim) in names.into_iter().zip(&victims) {
        let client = world.emulator.client(&victim.client_id).unwrap();
        assert!(client.is_active, "{name}");
        let Some(secret) = world.secret(name).await else {
            continue;
        };
        let text = serde_json::to_string(&secret).unwrap();
        let encoded = json!(k8s_openapi::ByteString(client.client_secret.into_bytes()));
        assert!(!text.contains(encoded.as_str().unwrap()), "{name}");
    }
    assert_eq!(world.emulator.commits(Operation::Create), names.len());
    assert_eq!(world.emulator.commits(Operation::Update), 0);
    // Following the message resolves it: without that Secret it is a new client.
    let params = DeleteParams::default();
    world.secrets().delete("secret", &params).await.unwrap();
    assert_ne!(world.until_ready("secret").await, victims[0].client_id);
    world.check_with(&[("secret", 1)]).await;
}

#[tokio::test]
async fn s44_restored_into_a_new_namespace_a_client_is_taken_up_on_the_proof_of_its_secret() {
    let world = World::start_as(LASTING).await;
    let operator = world.start_operator();
    let inline = json!({ "secret": { "stringData": { "app.env": "ID=$(clientId)\nKEY=$(clientSecret)\n" } } });
    let specs = [
        ("plain", json!({})),
        ("inline", inline),
        ("full", json!({})),
    ];
    let mut clients = Vec::new();
    let mut backup = Vec::new();
    for (name, spec) in &specs {
        clients.push(world.settled(name, spec.clone()).await);
        backup.push(world.restorable(name).await);
    }
    let mut status = serde_json::to_value(world.get("full").await.status).unwrap();
    operator.crash().await;
    world.recycle().await;

    let calls = world.emulator.calls().len();
    for ((name, spec), secret) in specs.iter().zip(&backup) {
        world.plant(secret).await;
        world.declare(name, spec.clone()).await;
    }
    // With its status as well, as `--status-include-resources` restores it.
    status["observedGeneration"] = json!(1);
    world.patch_status("full", status).await;
    let operator = world.start_operator();
    for ((name, _), client_id) in specs.iter().zip(&clients) {
        // Restored as ready, it is verified and bound again.
        let owned = async || {
            let secret = world.secret(name).await.unwrap();
            !secret.owner_references().is_empty()
        };
        world.eventually("its Secret is owned", owned).await;
        assert_eq!(&world.until_ready(name).await, client_id);
    }
    world.silence().await;
    assert_eq!(world.operations_from(calls), [Operation::Get; 3]);

    // From here on it is settled as any other: a restart costs nothing, and a binding lost with the status is taken up.
    operator.crash().await;
    let operator = world.start_operator();
    world.silence().await;
    assert_eq!(operator.faults.writes(), 0);
    assert_eq!(world.operations_from(calls), [Operation::Get; 3]);
    let lost = json!({ "clientId": null, "bindingMAC": null });
    world.patch_status("plain", lost).await;
    world.verify_now("plain").await;
    assert_eq!(world.until_ready("plain").await, clients[0]);
    world.check().await;
}

#[tokio::test]
async fn s44_restored_while_the_operator_runs_it_is_taken_up_whichever_part_comes_first() {
    let world = World::start_as(LASTING).await;
    let _operator = world.start_operator();
    let retain = json!({ "deletionPolicy": "Retain" });
    let first = world.settled("first", retain.clone()).await;
    let second = world.settled("second", retain.clone()).await;
    let backup = [
        world.restorable("first").await,
        world.restorable("second").await,
    ];
    world.recycle().await;
    for secret in &backup {
        world.plant(secret).await;
    }
    world.declare("first", retain.clone()).await;
    world.declare("second", retain).await;
    assert_eq!(world.until_ready("first").await, first);
    assert_eq!(world.until_ready("second").await, second);
    world.check().await;
}

#[tokio::test]
async fn s44_a_secret_that_is_older_than_the_last_rotation_proves_nothing_in_a_new_namespace() {
    let world = World::start_as(LASTING).await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let backup = world.restorable("web").await;
    operator.crash().await;
    world.drift(&client_id, |client| {
        client.client_secret = "rotated-since-the-backup-was-made".to_owned();
    });
    world.recycle().await;
    world.plant(&backup).await;
    world.declare("web", json!({})).await;
    let _operator = world.start_operator();
    let words = ["former namespace", "spec.adoption", "Secret web"];
    world
        .until_told("web", Reason::BindingMismatch, &words)
        .await;
    world.silence().await;
    assert_eq!(world.secret("web").await.unwrap().data, backup.data);
    // With the secret of today it proves it.
    let edit = json!({ "stringData": { "clientSecret": "rotated-since-the-backup-was-made" } });
    world.edit_secret("web", edit).await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}

#[tokio::test]
async fn without_the_right_to_read_namespaces_bindings_name_them_alone_and_a_gained_right_writes_nothing()
 {
    let world = World::start().await;
    let faults = harness::faults::Faults::new();
    faults.add_rule(|request| {
        let reads = request.resource == "namespaces" && request.method == http::Method::GET;
        reads.then(|| ClusterFault::before(Effect::Answer(403)))
    });
    let operator = world.start_operator_with(&faults);
    let client_id = world.settled("web", json!({})).await;
    let binding = world.get("web").await.status.unwrap().binding_mac;
    assert!(!binding.unwrap().contains('.'));
    assert!(world.log.text().contains("Not allowed to read namespaces"));
    operator.crash().await;
    let operator = world.start_operator();
    world.silence().await;
    assert_eq!(operator.faults.writes(), 0);
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}
