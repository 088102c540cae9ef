//! Versions side by side: a program newer than its definitions, objects of another version, and the way back.

use harness::ControlPlane;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use provident_core::api::{self, OAuthClient, Reason};
use provident_emulator::{Operation, Options};
use provident_operator::admin;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::operator::Operator;
use crate::own_plane::ALONE;
use crate::rights::Mode;
use crate::world::{World, install};

/// Where the properties of an object stand in its definition.
const PROPERTIES: &str = "/spec/versions/0/schema/openAPIV3Schema/properties";
/// What status has had since the first version that could rotate (71d3f8c), and did not have before.
const NEWER: [(&str, &str); 3] = [
    ("/status/properties", "secretHash"),
    ("/status/properties/rotation/properties", "scheduled"),
    ("/status/properties/rotation/properties", "accepted"),
];

fn definition(kind: &str) -> Value {
    let all = api::crds();
    let crd = all.iter().find(|crd| crd.spec.names.kind == kind);
    serde_json::to_value(crd.unwrap()).unwrap()
}

fn properties<'a>(crd: &'a mut Value, path: &str) -> &'a mut Value {
    crd.pointer_mut(&format!("{PROPERTIES}{path}")).unwrap()
}

fn older() -> Value {
    let mut crd = definition("OAuthClient");
    for (path, field) in NEWER {
        properties(&mut crd, path)
            .as_object_mut()
            .unwrap()
            .remove(field)
            .unwrap();
    }
    crd
}

async fn world_of_its_own(control_plane: &ControlPlane) -> World {
    install(&control_plane.client_config()).await;
    World::on(control_plane, Mode::Namespaces, Options::default()).await
}

impl World {
    /// Puts a definition in place, and waits until objects are served by it: until this change of `name` is let in or not.
    async fn define(&self, crd: &Value, name: &str, change: Value, holds: fn(&Value) -> bool) {
        let all: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let crd: CustomResourceDefinition = serde_json::from_value(crd.clone()).unwrap();
        let params = PatchParams::apply("e2e").force();
        all.patch(&crd.name_any(), &params, &Patch::Apply(&crd))
            .await
            .unwrap();
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients/{name}{}?dryRun=All",
            self.namespace,
            if change.get("status").is_some() {
                "/status"
            } else {
                ""
            }
        );
        let served = async || {
            let request = http::Request::patch(&path)
                .header("content-type", "application/merge-patch+json")
                .body(serde_json::to_vec(&change).unwrap())
                .unwrap();
            let answer = self.client.request::<Value>(request).await;
            holds(&answer.unwrap_or_default())
        };
        self.eventually("the definition is served", served).await;
    }

    /// Merges into an object that this version may not be able to read.
    async fn patch_raw(&self, name: &str, subresource: &str, change: Value) {
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients/{name}{subresource}",
            self.namespace
        );
        let request =
            http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let request = request.body(serde_json::to_vec(&change).unwrap()).unwrap();
        let _: Value = self.client.request(request).await.unwrap();
    }

    async fn raw(&self, name: &str) -> Value {
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients/{name}",
            self.namespace
        );
        self.get_json(&path).await
    }
}

fn digest() -> Value {
    json!({ "status": { "secretHash": "x" } })
}

fn keeps_digest(answer: &Value) -> bool {
    answer["status"]["secretHash"] == "x"
}

fn drops_digest(answer: &Value) -> bool {
    answer["status"].is_object() && answer["status"]["secretHash"].is_null()
}

async fn readyz(operator: &Operator) -> String {
    let stop = CancellationToken::new();
    let (metrics, readiness) = (operator.metrics.clone(), operator.readiness.clone());
    let address = admin::serve(
        "127.0.0.1:0".parse().unwrap(),
        metrics,
        readiness,
        stop.clone(),
    );
    let url = format!("http://{}/readyz", address.await.unwrap());
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    stop.cancel();
    text
}

#[tokio::test]
async fn s56_an_upgrade_and_the_way_back_make_no_client_and_at_most_one_write_per_object() {
    let _alone = ALONE.lock().await;
    let control_plane = ControlPlane::start().await.unwrap();
    let world = world_of_its_own(&control_plane).await;
    let names: Vec<String> = (0..20).map(|index| format!("client-{index}")).collect();
    let operator = world.start_operator();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    world.verify_now(&names[0]).await;
    world.silence().await;
    operator.crash().await;
    for (round, version) in ["upgraded", "upgraded again"].into_iter().enumerate() {
        // The version before: its definitions, and what it wrote under them.
        world
            .define(&older(), &names[0], digest(), drops_digest)
            .await;
        for name in &names {
            let written = json!({ "secretRevision": 10 + round });
            world.patch_status(name, written).await;
        }
        let operator = world.start_operator();
        let reported = async || {
            readyz(&operator)
                .await
                .contains("kubectl apply --server-side")
        };
        world.eventually("readyz says what to run", reported).await;
        let log = world.log.text();
        assert!(
            log.contains("oauthclients.oauth.provident.ae lacks"),
            "{log}"
        );
        for (_, field) in NEWER {
            assert!(log.contains(field), "{field} is not named");
        }
        let asked = world.ask_for_verification(&names[0]).await;
        world.silence().await;
        assert_eq!(operator.faults.writes(), 0, "nothing is done under them");

        // It needs no restart.
        world
            .define(
                &definition("OAuthClient"),
                &names[0],
                digest(),
                keeps_digest,
            )
            .await;
        let handled =
            |object: &OAuthClient| crate::settled::handled(object).as_ref() == Some(&asked);
        world.until(&names[0], "verified as asked", handled).await;
        for name in &names[1..] {
            world.verify_now(name).await;
        }
        world.silence().await;
        assert_eq!(readyz(&operator).await, "ready\n");
        let writes = operator.faults.writes_by_resource();
        println!("{version}: {} objects, writes {writes:?}", names.len());
        let status_only = writes
            .keys()
            .all(|resource| resource == "oauthclients/status");
        assert!(
            status_only && operator.faults.writes() <= names.len(),
            "{writes:?}"
        );
        assert_eq!(world.emulator.commits(Operation::Create), names.len());
        assert_eq!(world.emulator.commits(Operation::Rotate), 0);
        operator.crash().await;
    }
    world.check().await;
}

#[tokio::test]
async fn s54_an_object_that_cannot_be_read_is_told_so_and_stops_nobody_else() {
    let _alone = ALONE.lock().await;
    let control_plane = ControlPlane::start().await.unwrap();
    let world = world_of_its_own(&control_plane).await;
    let mut operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    world.settled("sound", json!({})).await;
    // A newer definition: a value and fields that this version does not know.
    let mut newer = definition("OAuthClient");
    let text = json!({ "type": "string" });
    properties(&mut newer, "/spec/properties")["future"] = text.clone();
    properties(&mut newer, "/status/properties")["future"] = text;
    let values = properties(&mut newer, "/spec/properties/driftPolicy/enum");
    values.as_array_mut().unwrap().push(json!("Sometimes"));
    let unknown = json!({ "spec": { "driftPolicy": "Sometimes" } });
    let lets_in = |answer: &Value| answer["spec"]["driftPolicy"] == "Sometimes";
    // And one that lets in what this version's definition does not.
    let refresh = properties(&mut newer, "/spec/properties/refreshInterval");
    refresh
        .as_object_mut()
        .unwrap()
        .remove("x-kubernetes-validations")
        .unwrap();
    world.define(&newer, "web", unknown, lets_in).await;
    world
        .declare("loose", json!({ "refreshInterval": "1w" }))
        .await;
    world.until_ready("loose").await;
    world
        .patch_raw(
            "web",
            "",
            json!({ "spec": { "driftPolicy": "Sometimes", "future": "a" } }),
        )
        .await;
    world
        .patch_raw("web", "/status", json!({ "status": { "future": "b" } }))
        .await;
    let reported = async || {
        let object = world.raw("web").await;
        let conditions = object["status"]["conditions"].as_array().unwrap().clone();
        conditions.iter().any(|condition| {
            let message = condition["message"].as_str().unwrap();
            condition["type"] == "Ready"
                && condition["reason"] == Reason::InvalidObject.as_str()
                && message.contains("spec.driftPolicy")
                && message.contains("Sometimes")
        })
    };
    world.eventually("its status reports it", reported).await;
    world
        .until_event_with("web", Reason::InvalidObject, &["spec.driftPolicy"])
        .await;

    // Nobody else waits, nor after a restart, whose first list has it in it.
    for round in ["before a restart", "after it"] {
        let edit = json!({ "spec": { "rateLimitCount": round.len() } });
        world.patch("sound", edit).await;
        world.until_ready("sound").await;
        world.silence().await;
        let stays = world.raw("web").await;
        assert_eq!(stays["status"]["clientId"], client_id);
        assert_eq!(stays["status"]["future"], "b");
        if round == "before a restart" {
            operator.crash().await;
            operator = world.start_operator();
        }
    }
    // Put right, it goes on with the same client, and what others wrote stays.
    world
        .patch_raw(
            "web",
            "",
            json!({ "spec": { "driftPolicy": "Correct", "rateLimitCount": 9 } }),
        )
        .await;
    assert_eq!(world.until_ready("web").await, client_id);
    world.silence().await;
    let after = world.raw("web").await;
    assert_eq!(
        (&after["spec"]["future"], &after["status"]["future"]),
        (&json!("a"), &json!("b"))
    );

    // What was let in once is let be, by the definition that would not let it in, and kept up to date.
    let once_more = json!({ "spec": { "refreshInterval": "1w" } });
    let refused = |answer: &Value| answer.is_null();
    world
        .define(&definition("OAuthClient"), "web", once_more, refused)
        .await;
    let edit = json!({ "spec": { "rateLimitCount": 5 } });
    world.patch("loose", edit).await;
    let loose = world.until_ready("loose").await;
    assert_eq!(world.emulator.client(&loose).unwrap().rate_limit_count, 5);
    assert_eq!(world.emulator.commits(Operation::Create), 3);
    world.check().await;
}

#[tokio::test]
async fn s54_a_connection_that_cannot_be_read_is_not_used_until_it_can() {
    let _alone = ALONE.lock().await;
    let control_plane = ControlPlane::start().await.unwrap();
    let world = world_of_its_own(&control_plane).await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    let mut newer = definition("ClusterProvidentConnection");
    let values = properties(&mut newer, "/spec/properties/unknownOutcomePolicy/enum");
    values.as_array_mut().unwrap().push(json!("Sometimes"));
    world
        .define(&newer, "web", json!({}), |answer| {
            answer["spec"].is_object()
        })
        .await;
    let edited = async || {
        let patch = json!({ "spec": { "unknownOutcomePolicy": "Sometimes" } });
        let all = world.connections();
        let params = PatchParams::default();
        all.patch_metadata(&world.connection, &params, &Patch::Merge(&patch))
            .await
            .is_ok()
    };
    world.eventually("the definition is served", edited).await;
    let path = format!(
        "/apis/oauth.provident.ae/v1alpha1/clusterprovidentconnections/{}",
        world.connection
    );
    let reported = async || {
        let text = world.get_json(&path).await["status"].to_string();
        text.contains(Reason::InvalidObject.as_str()) && text.contains("Sometimes")
    };
    world.eventually("its status reports it", reported).await;
    world.declare("new", json!({})).await;
    let message = world.until_reason("new", Reason::InvalidObject).await;
    assert!(
        message.contains("kubectl describe clusterprovidentconnections.oauth.provident.ae"),
        "{message}"
    );
    world
        .edit_connection(json!({ "unknownOutcomePolicy": "Hold" }))
        .await;
    world.until_ready("new").await;
    assert_eq!(world.emulator.commits(Operation::Create), 2);
    world.check().await;
}
