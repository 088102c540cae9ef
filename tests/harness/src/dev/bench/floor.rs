//! The floor: the minimum that the work costs. Workers make the same writes as the operator, of the same size and in the same
//! order, without any decisions: a dry run of the Secret, the finalizer, the claim, the vendor's create, the Secret, the status.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use super::counts::FLOOR_GROUP;
use super::load;
use super::test_env::{NAMESPACE, TestEnv};
use super::usage::Usage;
use super::vendor::Vendor;
use super::witness::Witness;

/// The speed of a measurement.
#[derive(Debug, Clone, Default)]
pub struct Speed {
    /// From the first declaration until the last client was ready.
    pub took: Duration,
    /// For each client, from its declaration until a watch shows its Secret.
    pub latencies: Vec<Duration>,
    /// CPU time used.
    pub usage: Usage,
}

impl Speed {
    /// Clients per second.
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Adds another measurement.
    pub fn add(&mut self, more: Self) {
        self.took += more.took;
        self.latencies.extend(more.latencies);
        self.usage = std::mem::take(&mut self.usage).and(&more.usage);
    }
}

/// Declares `count` objects as for the operator, while `workers` process them.
pub async fn burst(env: &TestEnv, prefix: &str, count: usize, workers: usize) -> Result<Speed> {
    let witness = Witness::of(env, FLOOR_GROUP);
    let names = load::names(prefix, count);
    let (sender, receiver) = mpsc::unbounded_channel();
    let crew = Crew::new(env);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut running = JoinSet::new();
    for _ in 0..workers {
        running.spawn(crew.clone().work(Arc::clone(&receiver)));
    }
    let (start, used) = (Instant::now(), Usage::read(env)?);
    let asked = load::declare(&crew.objects, FLOOR_GROUP, &names, |object| {
        // The workers end only when the sender is dropped, so sending cannot fail.
        let _ = sender.send(object);
    })
    .await?;
    drop(sender);
    while let Some(done) = running.join_next().await {
        done??;
    }
    let took = witness.all_ready(&names).await?.duration_since(start);
    Ok(Speed {
        took,
        latencies: latencies(&witness, &asked, Witness::secret),
        usage: Usage::read(env)?.since(&used),
    })
}

/// One client after another: each is declared when the previous one is ready.
pub async fn one_by_one(env: &TestEnv, prefix: &str, count: usize) -> Result<Speed> {
    let witness = Witness::of(env, FLOOR_GROUP);
    let crew = Crew::new(env);
    let start = Instant::now();
    let mut speed = Speed::default();
    for name in load::names(prefix, count) {
        let asked = Instant::now();
        let object = load::client(FLOOR_GROUP, &name);
        let object = crew.objects.create(&PostParams::default(), &object).await?;
        crew.process(object).await?;
        let secret = witness.all_secrets(std::slice::from_ref(&name)).await?;
        speed.latencies.push(secret.duration_since(asked));
    }
    speed.took = start.elapsed();
    Ok(speed)
}

/// The time from asking for each client until `done`.
pub fn latencies(
    witness: &Witness,
    asked: &std::collections::HashMap<String, Instant>,
    done: impl Fn(&Witness, &str) -> Option<Instant>,
) -> Vec<Duration> {
    let taken =
        |(name, asked): (&String, &Instant)| Some(done(witness, name)?.duration_since(*asked));
    asked.iter().filter_map(taken).collect()
}

#[derive(Clone)]
struct Crew {
    objects: Api<DynamicObject>,
    secrets: Api<Secret>,
    vendor: Vendor,
}

impl Crew {
    fn new(env: &TestEnv) -> Self {
        Self {
            objects: env.objects(FLOOR_GROUP),
            secrets: Api::namespaced(env.client.clone(), NAMESPACE),
            vendor: env.vendor.clone(),
        }
    }

    async fn work(
        self,
        declared: Arc<Mutex<mpsc::UnboundedReceiver<DynamicObject>>>,
    ) -> Result<()> {
        loop {
            let next = declared.lock().await.recv().await;
            let Some(object) = next else {
                return Ok(());
            };
            self.process(object).await?;
        }
    }

    async fn process(&self, object: DynamicObject) -> Result<()> {
        let name = object.name_any();
        let post = PostParams {
            dry_run: true,
            field_manager: Some("floor".to_owned()),
        };
        // The largest values that the operator accepts from a response.
        let (id, secret) = ("x".repeat(128), "x".repeat(4096));
        self.secrets
            .create(&post, &self.secret(&object, &id, &secret)?)
            .await?;
        let patch = json!({ "metadata": {
            "resourceVersion": object.resource_version(), "finalizers": ["oauth.provident.ae/client"],
        }});
        let params = PatchParams {
            field_manager: post.field_manager.clone(),
            ..PatchParams::default()
        };
        let object = self
            .objects
            .patch(&name, &params, &Patch::Merge(&patch))
            .await?;
        let claim = json!({
            "metadata": { "resourceVersion": object.resource_version() },
            "status": { "createAttempt": { "id": "0".repeat(32), "startTime": "2026-11-24T10:00:00Z" } },
        });
        let object = self
            .objects
            .patch_status(&name, &params, &Patch::Merge(&claim))
            .await?;
        let (id, secret) = self.vendor.create(&format!("{NAMESPACE}-{name}")).await?;
        let post = PostParams {
            dry_run: false,
            ..post
        };
        let stored = self
            .secrets
            .create(&post, &self.secret(&object, &id, &secret)?)
            .await?;
        let status = json!({
            "metadata": { "resourceVersion": object.resource_version() },
            "status": status(&object, &id, &stored.resource_version().unwrap_or_default()),
        });
        self.objects
            .patch_status(&name, &params, &Patch::Merge(&status))
            .await?;
        Ok(())
    }

    // As the operator renders it, except for the label, with which the operator would watch it.
    fn secret(&self, object: &DynamicObject, id: &str, secret: &str) -> Result<Secret> {
        let (name, uid) = (
            object.name_any(),
            object.uid().context("an object without uid")?,
        );
        let managed =
            r#"{"data":["clientId","clientSecret","tokenUrl"],"labels":[],"annotations":[]}"#;
        Ok(serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": name,
                "labels": { "app.kubernetes.io/managed-by": "the-floor-of-a-bench" },
                "annotations": {
                    "oauth.provident.ae/client-id": id, "oauth.provident.ae/binding": "0".repeat(64),
                    "oauth.provident.ae/managed": managed,
                },
                "ownerReferences": [{
                    "apiVersion": format!("{FLOOR_GROUP}/v1alpha1"), "kind": "OAuthClient",
                    "name": name, "uid": uid, "controller": true,
                }],
            },
            "stringData": { "clientId": id, "clientSecret": secret, "tokenUrl": format!("{}/oauth2/token", self.vendor.base_url) },
        }))?)
    }
}

fn status(object: &DynamicObject, id: &str, version: &str) -> Value {
    let generation = object.metadata.generation;
    let condition = |type_: &str, message: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Available", "message": message,
            "observedGeneration": generation, "lastTransitionTime": "2026-11-24T10:00:00Z",
        })
    };
    json!({
        "observedGeneration": generation, "clientId": id, "bindingMAC": "0".repeat(64),
        "secretName": object.name_any(), "secretResourceVersion": version, "secretRevision": 1, "secretHash": "0".repeat(64),
        "createAttempt": null,
        "conditions": [
            condition("Ready", "The Secret holds the credentials of the client"),
            condition("Synced", "The vendor's client equals the spec"),
            condition("SecretReady", "The Secret holds the credentials of the last verification"),
        ],
    })
}
