//! The floor: what the job costs at the least. The same writes, of the same size, in the same order, by somebody who has
//! nothing to find out: a dry run of the Secret, the finalizer, the claim, the vendor's create, the Secret, the status.

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

/// How fast it went.
#[derive(Debug, Clone, Default)]
pub struct Speed {
    /// From the first declaration to the last client that was ready.
    pub took: Duration,
    /// Of each client, from its declaration to its Secret as a watch shows it.
    pub latencies: Vec<Duration>,
    /// Processor time meanwhile.
    pub usage: Usage,
}

impl Speed {
    /// Clients per second.
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Takes in another measurement of the same.
    pub fn add(&mut self, more: Self) {
        self.took += more.took;
        self.latencies.extend(more.latencies);
        self.usage = std::mem::take(&mut self.usage).and(&more.usage);
    }
}

/// Declares `count` objects as for the operator, while `workers` see to them.
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
        // The crew leaves only when the sender is dropped.
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
        latencies: latencies(&witness, &asked),
        usage: Usage::read(env)?.since(&used),
    })
}

/// One client after another, each declared when the one before is ready.
pub async fn one_by_one(env: &TestEnv, prefix: &str, count: usize) -> Result<Speed> {
    let witness = Witness::of(env, FLOOR_GROUP);
    let crew = Crew::new(env);
    let start = Instant::now();
    let mut speed = Speed::default();
    for name in load::names(prefix, count) {
        let asked = Instant::now();
        let object = load::client(FLOOR_GROUP, &name);
        let object = crew.objects.create(&PostParams::default(), &object).await?;
        crew.see_to(object).await?;
        let secret = witness.all_secrets(std::slice::from_ref(&name)).await?;
        speed.latencies.push(secret.duration_since(asked));
    }
    speed.took = start.elapsed();
    Ok(speed)
}

/// From declaration to Secret, of each.
pub fn latencies(
    witness: &Witness,
    asked: &std::collections::HashMap<String, Instant>,
) -> Vec<Duration> {
    let taken =
        |(name, asked): (&String, &Instant)| Some(witness.secret(name)?.duration_since(*asked));
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
            self.see_to(object).await?;
        }
    }

    async fn see_to(&self, object: DynamicObject) -> Result<()> {
        let name = object.name_any();
        let post = PostParams {
            dry_run: true,
            field_manager: Some("floor".to_owned()),
        };
        // As large as the operator takes from an answer.
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

    // As the operator renders it, but for the label, which would bring it into the operator's watch.
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
        "secretName": object.name_any(), "secretVersion": version, "secretRevision": 1, "secretDigest": "0".repeat(64),
        "createAttempt": null,
        "conditions": [
            condition("Ready", "The Secret holds the credentials of the client"),
            condition("Synced", "The vendor's client equals the spec"),
            condition("SecretReady", "The Secret holds the credentials of the last verification"),
        ],
    })
}
