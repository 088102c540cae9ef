//! Metadata that the API server accepts and typed decoding rejects: it affects no other object, whatever its kind, neither
//! in a watch that is open nor in the next list.

use std::sync::Arc;

use harness::faults::{Effect, Fault, RequestInfo};
use kube::Client;
use provident_core::api::Reason;
use serde_json::{Value, json};

use crate::requests::strike_from;
use crate::restart::deploy;
use crate::world::{TOKEN_SECRET, World};

const GROUP: &str = "/apis/oauth.provident.ae/v1alpha1";
/// Kubernetes accepts it; what decodes times here ends a day earlier.
const LATE: &str = "9999-12-31T23:59:59Z";

/// An administrator's client that sees objects as they are.
struct Raw(Client);

impl Raw {
    fn of(world: &World) -> Self {
        Self(Client::try_from(world.admin.clone()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.0.request(request).await.unwrap()
    }

    async fn merge(&self, path: &str, change: Value) {
        let request = http::Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(change.to_string().into_bytes());
        let _: Value = self.0.request(request.unwrap()).await.unwrap();
    }

    /// Replaces the object's `managedFields`, again if somebody else writes it meanwhile.
    async fn put_managed_fields(&self, path: &str, entries: &Value) {
        loop {
            let mut object = self.get(path).await;
            object["metadata"]["managedFields"] = entries.clone();
            let request = http::Request::put(format!("{path}?fieldManager=attacker"))
                .header("content-type", "application/json")
                .body(object.to_string().into_bytes());
            match self.0.request::<Value>(request.unwrap()).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => panic!("{path}: {error}"),
            }
        }
    }

    /// Gives the object an entry with a late time. A create drops such entries, and a change of nothing but a time is none,
    /// so the entries are removed first.
    async fn poison(&self, path: &str) {
        self.put_managed_fields(path, &json!([{}])).await;
        let version = self.get(path).await["apiVersion"].clone();
        let entry = json!({
            "manager": "attacker", "operation": "Update", "apiVersion": version, "time": LATE, "fieldsType": "FieldsV1",
            "fieldsV1": { "f:metadata": { "f:labels": { "f:x": {} } } },
        });
        self.put_managed_fields(path, &json!([entry])).await;
        let times = self.get(path).await["metadata"]["managedFields"].to_string();
        assert!(times.contains(LATE), "{path}: not stored: {times}");
    }
}

impl World {
    /// The operator serves everybody with this object in the cluster: in its open watches, after a restart, and after a 410.
    async fn serves_beside(mut self, path: &str) {
        let raw = Raw::of(&self);
        self.lease = Some("provident-operator".to_owned());
        let mut operator = self.start_operator();
        self.settled("poisoned", json!({})).await;
        self.settled("sound", json!({})).await;
        raw.poison(path).await;
        for round in ["watching", "restarted", "after a 410"] {
            match round {
                "restarted" => {
                    operator.begin_stop();
                    operator.stopped().await;
                    operator = self.start_operator();
                }
                "after a 410" => {
                    let faults = operator.faults.clone();
                    let every = Arc::new(|request: &RequestInfo| request.watch);
                    let refused =
                        strike_from(&faults, 1, every, Fault::before(Effect::Answer(410)));
                    faults.set_outage(true);
                    self.eventually("watches are refused", async || refused.count() >= 3)
                        .await;
                    faults.set_outage(false);
                    faults.clear();
                }
                _ => {}
            }
            let edit = json!({ "spec": { "rateLimitCount": round.len() } });
            for name in ["poisoned", "sound"] {
                self.patch(name, edit.clone()).await;
                let client_id = self.until_ready(name).await;
                let client = self.emulator.client(&client_id).unwrap();
                assert_eq!(
                    client.rate_limit_count,
                    u64::try_from(round.len()).unwrap(),
                    "{round}"
                );
            }
            let new = format!("new-{}", round.len());
            self.declare(&new, json!({})).await;
            self.until_ready(&new).await;
        }
        self.delete("poisoned").await;
        self.until_gone("poisoned").await;
        self.check().await;
    }
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_client_affects_nobody_else() {
    let world = World::start().await;
    let path = format!(
        "{GROUP}/namespaces/{}/oauthclients/poisoned",
        world.namespace
    );
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_generated_secret_affects_nobody_else() {
    let world = World::start().await;
    let path = format!("/api/v1/namespaces/{}/secrets/poisoned", world.namespace);
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_token_secret_affects_nobody() {
    let world = World::start().await;
    let path = format!("/api/v1/namespaces/{}/secrets/{TOKEN_SECRET}", world.system);
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_connection_affects_nobody() {
    let world = World::start().await;
    let path = format!("{GROUP}/clusterprovidentconnections/{}", world.connection);
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_an_own_connection_affects_nobody_else() {
    let world = World::start().await;
    world.create_own_connection("own").await;
    let path = format!(
        "{GROUP}/namespaces/{}/providentconnections/own",
        world.namespace
    );
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_config_map_affects_nobody() {
    let world = World::start().await;
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    world.put_authorities(&authority.cert.pem()).await;
    world
        .edit_connection(json!({ "caConfigMapRef": { "name": "corp-ca" } }))
        .await;
    let path = format!("/api/v1/namespaces/{}/configmaps/corp-ca", world.system);
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_namespace_affects_nobody() {
    let world = World::start().await;
    let rule = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.namespace } }, "scopes": ["*"] });
    world.edit_connection(json!({ "access": [rule] })).await;
    let path = format!("/api/v1/namespaces/{}", world.namespace);
    Box::pin(world.serves_beside(&path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_of_a_crd_affects_nobody() {
    let path =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/oauthclients.oauth.provident.ae";
    Box::pin(World::start().await.serves_beside(path)).await;
}

#[tokio::test]
async fn s54_unusual_metadata_and_times_of_the_lease_end_no_election() {
    let world = World::with_a_lease().await;
    let raw = Raw::of(&world);
    let (leader, standby) = world.leader_and_standby().await;
    world.settled("web", json!({})).await;
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/provident-operator",
        world.system
    );
    raw.poison(&path).await;
    let late = "9999-12-31T23:59:59.999999Z";
    raw.merge(&path, json!({ "spec": { "acquireTime": late } }))
        .await;
    leader.crash().await;
    world.until_leads(&standby).await;
    world.declare("new", json!({})).await;
    world.until_ready("new").await;
    world.check().await;
}

#[tokio::test]
async fn s54_a_status_that_cannot_be_decoded_is_reported_and_affects_nobody_else() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("odd", json!({})).await;
    world.settled("sound", json!({})).await;
    let raw = Raw::of(&world);
    let path = format!(
        "{GROUP}/namespaces/{}/oauthclients/odd/status",
        world.namespace
    );
    raw.merge(
        &path,
        json!({ "status": { "createAttempt": { "id": "a", "startTime": LATE } } }),
    )
    .await;
    let reported = async || {
        let conditions = raw.get(&path).await["status"]["conditions"].to_string();
        conditions.contains(Reason::InvalidObject.as_str())
            && conditions.contains("status.createAttempt.startTime")
    };
    world.eventually("it is reported", reported).await;
    let counted = "provident_operator_invalid_objects_total{kind=\"OAuthClient\"}";
    assert!(operator.metrics.text().contains(counted));
    let log = world.log.text();
    let line = log.lines().find(|line| line.contains("Skipped an object"));
    let name = format!("{}/odd", world.namespace);
    assert!(line.is_some_and(|line| line.contains(&name)), "{line:?}");

    operator.crash().await;
    let _operator = world.start_operator();
    world.declare("new", json!({})).await;
    for name in ["new", "sound"] {
        world
            .patch(name, json!({ "spec": { "rateLimitCount": 9 } }))
            .await;
        world.until_ready(name).await;
    }
    raw.merge(&path, json!({ "status": { "createAttempt": null } }))
        .await;
    world.until_ready("odd").await;
    world.check().await;
}

#[tokio::test]
async fn s54_a_pod_template_that_cannot_be_decoded_is_restarted_like_any_other() {
    let world = World::start().await;
    let _operator = world.start_operator();
    deploy(&world, "Deployment", "app").await;
    let path = format!(
        "/apis/apps/v1/namespaces/{}/deployments/app",
        world.namespace
    );
    let template = json!({ "spec": { "template": { "metadata": { "creationTimestamp": LATE } } } });
    let raw = Raw::of(&world);
    raw.merge(&path, template).await;
    let template = raw.get(&path).await["spec"]["template"]["metadata"].clone();
    assert_eq!(template["creationTimestamp"], LATE);
    let targets = json!([{ "kind": "Deployment", "name": "app" }]);
    world
        .settled("web", json!({ "rolloutRestartTargets": targets }))
        .await;
    let keys = json!({ "id": "$(clientId)", "secret": "$(clientSecret)" });
    world
        .patch(
            "web",
            json!({ "spec": { "secret": { "stringData": keys } } }),
        )
        .await;
    world.until_ready("web").await;
    let template = raw.get(&path).await["spec"]["template"]["metadata"].clone();
    let annotations = template["annotations"].as_object();
    assert!(annotations.is_some_and(|all| all.len() == 1), "{template}");
    world.check().await;
}
