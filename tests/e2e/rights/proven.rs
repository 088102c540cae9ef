//! Every verb that the chart grants is used, and every verb that is used is granted: from the API server's audit log.

use harness::ControlPlane;
use kube::api::{DeleteParams, Patch, PatchParams};
use provident_core::api::{ConditionType, ROTATE, Reason, find};
use provident_emulator::Options;
use serde_json::{Value, json};

use super::granted::{granted, uses};
use super::{Mode, NAME};
use crate::own_plane::ALONE;
use crate::restart::deploy;
use crate::world::{World, install, is_ready};

#[tokio::test]
async fn in_every_mode_of_the_chart_the_verbs_granted_are_the_verbs_used() {
    let _alone = ALONE.lock().await;
    let control_plane = ControlPlane::start().await.unwrap();
    install(&control_plane.client_config()).await;
    for mode in Mode::ALL {
        let mut world = World::on(&control_plane, mode, Options::default()).await;
        world.everywhere = mode.watches_all();
        world.lease = Some(NAME.to_owned());
        world.credential_poll = std::time::Duration::from_secs(1);
        live(&world).await;
        let wrong = hold(&world);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // With it, that nothing was refused.
        world.check().await;
    }
}

/// The table of what is granted and how often it was used, and what is wrong about it.
fn hold(world: &World) -> Vec<String> {
    let rights = world.mode.rights(&world.system, &world.namespace);
    let asked = world.audit.asked();
    let uses = uses(&granted(&rights), &asked);
    println!("{:?}: {} verbs", world.mode, uses.len());
    let mut wrong = Vec::new();
    for (grant, used) in &uses {
        println!("  {grant} {used:>5}");
        if *used == 0 {
            wrong.push(format!("{:?}: granted and never used: {grant}", world.mode));
        }
    }
    wrong
}

/// A run through all that an operator does with the cluster.
async fn live(world: &World) {
    world.create_own_connection("own").await;
    let restarts = matches!(world.mode, Mode::Cluster | Mode::Namespaces);
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    let mut targets = Vec::new();
    for kind in kinds.iter().filter(|_| restarts) {
        deploy(world, kind, "app").await;
        targets.push(json!({ "kind": kind, "name": "app" }));
    }
    let operator = world.start_operator();
    let by_own = json!({ "connectionRef": { "kind": "ProvidentConnection", "name": "own" } });
    let mut names = vec!["own"];
    world
        .settled(
            "own",
            with(&by_own, &json!({ "rolloutRestartTargets": targets })),
        )
        .await;
    if world.mode.has_cluster_connections() {
        names.push("web");
        world.settled("web", json!({})).await;
        // Rules by label, and authorities from a ConfigMap.
        let rule = json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": world.namespace } }, "scopes": ["*"] });
        let spec = json!({ "access": [rule], "caConfigMapRef": { "name": "kube-root-ca.crt", "key": "ca.crt" } });
        world.edit_connection(spec).await;
        world.verify_now("web").await;
        world.until_connection(Reason::Available).await;
    }
    let authorities =
        json!({ "spec": { "caConfigMapRef": { "name": "kube-root-ca.crt", "key": "ca.crt" } } });
    let own = world.own_connections();
    own.patch("own", &PatchParams::default(), &Patch::Merge(&authorities))
        .await
        .unwrap();
    // Connections that are not there are asked for by name.
    for kind in ["ProvidentConnection", "ClusterProvidentConnection"] {
        let name = format!("lost-{}", kind.to_lowercase());
        let nowhere = json!({ "connectionRef": { "kind": kind, "name": "nowhere" } });
        world.declare(&name, nowhere).await;
        world.until_reason(&name, Reason::ConnectionNotFound).await;
        world.delete(&name).await;
        world.until_gone(&name).await;
    }
    for name in &names {
        let edit = json!({ "spec": { "rateLimitCount": 7 } });
        world.patch(name, edit).await;
        world.until_ready(name).await;
        let edit = json!({ "stringData": { "clientSecret": "wrong" } });
        world.edit_secret(name, edit).await;
        world.verify_now(name).await;
        world.until(name, "right again", is_ready).await;
        let rotate = json!({ "metadata": { "annotations": { ROTATE: "1" } } });
        world.patch(name, rotate).await;
        world.until_rotated(name, "1").await;
    }
    // A client whose credential is gone waits, unless its namespace is being deleted too.
    let token = world.secrets();
    token
        .delete(crate::world::TOKEN_SECRET, &DeleteParams::default())
        .await
        .unwrap();
    let reported = async || {
        let status = own.get("own").await.unwrap().status.unwrap();
        let ready = find(&status.conditions, ConditionType::Ready);
        ready.is_some_and(|ready| ready.reason == Reason::CredentialsNotFound.as_str())
    };
    world
        .eventually("the lost credential is reported", reported)
        .await;
    world.delete("own").await;
    world.until_reason("own", Reason::ConnectionNotReady).await;
    let token = json!({ "token": world.emulator.token() });
    world
        .put_secret(&world.namespace, crate::world::TOKEN_SECRET, token)
        .await;
    world.until_gone("own").await;
    if world.mode.has_cluster_connections() {
        world.delete("web").await;
        world.until_gone("web").await;
    }
    // It gives its lease back.
    operator.begin_stop();
    operator.stopped().await;
}

fn with(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    both.as_object_mut()
        .unwrap()
        .extend(other.as_object().unwrap().clone());
    both
}
