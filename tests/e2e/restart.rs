//! Workloads that use a Secret restart once for each change of its content.

use kube::api::DeleteParams;
use provident_core::api::Reason;
use serde_json::{Value, json};

use crate::world::{World, is_ready, ready};

/// A workload of this namespace, and the annotations of its pod template.
async fn pods_of(world: &World, kind: &str, name: &str) -> Value {
    let path = format!(
        "/apis/apps/v1/namespaces/{}/{}s/{name}",
        world.namespace,
        kind.to_lowercase()
    );
    let workload = world.get_json(&path).await;
    workload["spec"]["template"]["metadata"]["annotations"].clone()
}

pub async fn deploy(world: &World, kind: &str, name: &str) {
    let labels = json!({ "app": name });
    let workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
        "spec": { "selector": { "matchLabels": labels }, "serviceName": name, "template": {
            "metadata": { "labels": labels },
            "spec": { "containers": [{ "name": "app", "image": "none.invalid/app" }] },
        }},
    });
    let path = format!(
        "/apis/apps/v1/namespaces/{}/{}s",
        world.namespace,
        kind.to_lowercase()
    );
    let request = http::Request::post(path).header("content-type", "application/json");
    let body = serde_json::to_vec(&workload).unwrap();
    let _: Value = world
        .client
        .request(request.body(body).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn workloads_restart_once_per_content_in_order_and_never_because_the_operator_did() {
    let world = World::start().await;
    let targets: Vec<Value> = ["StatefulSet", "Deployment", "DaemonSet"]
        .iter()
        .map(|kind| json!({ "kind": kind, "name": "app" }))
        .collect();
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        deploy(&world, kind, "app").await;
    }
    let operator = world.start_operator();
    let spec = json!({ "rolloutRestartTargets": targets });
    world.settled("web", spec).await;
    let uid = world.get("web").await.metadata.uid.unwrap();
    let annotation = format!("oauth.provident.ae/secret-revision-{uid}");
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    for kind in kinds {
        assert_eq!(pods_of(&world, kind, "app").await, Value::Null, "{kind}");
    }
    operator.faults.forget();
    world.ask_for_rotation("web", "1").await;
    world.until_rotated("web", "1").await;
    for kind in kinds {
        assert_eq!(pods_of(&world, kind, "app").await[&annotation], "2");
    }
    let asked: Vec<String> = operator
        .faults
        .records()
        .iter()
        .filter(|record| record.request.group == "apps")
        .map(|record| record.request.resource.clone())
        .collect();
    assert_eq!(asked, ["statefulsets", "deployments", "daemonsets"]);

    // Equal content: a repair, a verification and a restart of the operator restart nobody.
    let params = DeleteParams::default();
    world.secrets().delete("web", &params).await.unwrap();
    world.until("web", "right again", is_ready).await;
    world.silence().await;
    operator.crash().await;
    let operator = world.start_operator();
    world.verify_now("web").await;
    assert_eq!(pods_of(&world, "Deployment", "app").await[&annotation], "2");
    assert_eq!(
        operator.faults.writes_by_resource().get("deployments"),
        None
    );

    // Another template is another content; a missing target is reported, and stops nobody.
    let more = json!({ "spec": {
        "secret": { "stringData": { "clientId": "$(clientId)", "clientSecret": "$(clientSecret)", "extra": "x" } },
        "rolloutRestartTargets": [{ "kind": "Deployment", "name": "gone" }, { "kind": "Deployment", "name": "app" }],
    }});
    world.patch("web", more).await;
    world.until_ready("web").await;
    assert_eq!(pods_of(&world, "Deployment", "app").await[&annotation], "3");
    let words = ["spec.rolloutRestartTargets", "Deployment gone"];
    world
        .until_event_with("web", Reason::RestartDenied, &words)
        .await;
    let object = world.get("web").await;
    assert!(ready(&object).is_some_and(|ready| ready.status == "True"));
    world.check().await;
}
