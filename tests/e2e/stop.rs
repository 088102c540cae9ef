//! SIGTERM, and what the admin port tells of a process that starts, works and leaves.

use std::time::Duration;

use harness::faults::Faults;
use kube::Client;
use kube::api::ListParams;
use kube::client::ClientBuilder;
use provident_emulator::{Operation, When};
use provident_operator::admin::{self, Readiness};
use provident_operator::config::Config;
use provident_operator::metrics::Metrics;
use provident_operator::{cluster, manager};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::more::client_id;
use crate::world::World;

#[tokio::test]
async fn s50_a_stop_during_fifty_creates_loses_no_answer() {
    let world = World::start().await;
    let names: Vec<_> = (0..50).map(|index| format!("web-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    let vendor = world.emulator.faults();
    vendor.set_latency(Operation::Create, Duration::from_millis(300));
    let gate = vendor.gate(Operation::Create, When::BeforeCommit);
    let operator = world.start_operator();
    // As many as the connection lets out at once.
    world.arrived(&gate, 32).await;
    operator.begin_stop();
    gate.release();
    operator.stopped().await;

    let objects = world.objects().list(&ListParams::default()).await.unwrap();
    let mut stored: Vec<_> = objects.iter().filter_map(client_id).collect();
    let clients = world.emulator.clients().into_iter();
    let mut made: Vec<_> = clients.map(|client| client.client_id).collect();
    stored.sort();
    made.sort();
    assert_eq!(stored, made, "every answer is stored");
    assert!(made.len() >= 32);
    for object in &objects {
        let attempt = object.status.as_ref().unwrap().create_attempt.as_ref();
        assert!(attempt.is_none(), "an attempt is left open: {object:?}");
    }

    let _next = world.start_operator();
    for name in &names {
        world.until_ready(name).await;
        assert_eq!(world.creates(name).len(), 1, "{name}");
    }
    world.check().await;
}

// A client that does not reach the API server until its outage is over.
fn cut_off(world: &World) -> (Client, Faults) {
    let faults = Faults::new();
    faults.set_outage(true);
    let client = ClientBuilder::try_from(cluster::without_retries(world.config.clone()))
        .unwrap()
        .with_layer(&faults.layer())
        .build();
    (client, faults)
}

#[tokio::test]
async fn s41_liveness_and_readiness_tell_what_is_true() {
    let world = World::start().await;
    let (client, faults) = cut_off(&world);
    let settings = Config {
        namespace: world.system.clone(),
        watch_namespaces: vec![world.namespace.clone()],
        internal_hosts: vec![format!("http://{}", world.emulator.address())],
        ..Config::default()
    };
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    let (stop, admin_stop) = (CancellationToken::new(), CancellationToken::new());
    let address = admin::serve(
        "127.0.0.1:0".parse().unwrap(),
        metrics.clone(),
        readiness.clone(),
        admin_stop.clone(),
    )
    .await
    .unwrap();
    let running = tokio::spawn(manager::run(
        client,
        settings,
        metrics,
        readiness,
        stop.clone(),
    ));
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let until_readyz = async |wanted: (u16, &str)| {
        let holds = async || {
            let (status, text) = get("/readyz").await;
            status == wanted.0 && text.contains(wanted.1)
        };
        world.eventually(wanted.1, holds).await;
        // A restart mends none of it, and would lose answers.
        assert_eq!(get("/livez").await.0, 200);
    };
    until_readyz((503, "waiting for the first lists")).await;
    faults.set_outage(false);
    until_readyz((200, "ready")).await;

    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::BeforeCommit);
    world.declare("web", json!({})).await;
    world.arrived(&gate, 1).await;
    faults.set_outage(true);
    until_readyz((200, "ready")).await;
    stop.cancel();
    until_readyz((503, "stopping")).await;
    assert!(!running.is_finished(), "what is in flight is waited for");
    gate.release();
    world
        .until_vendor("the create is answered", |vendor| {
            vendor
                .calls()
                .iter()
                .any(|call| call.operation == Operation::Create && call.status.is_some())
        })
        .await;
    faults.set_outage(false);
    running.await.unwrap().unwrap();
    assert_eq!(
        client_id(&world.get("web").await),
        Some(world.only_client().client_id)
    );
    assert!(world.secret("web").await.is_some());
    let (status, figures) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        figures.contains("provident_operator_creates_total{outcome=\"created\"} 1"),
        "{figures}"
    );
    admin_stop.cancel();
    world.check().await;
}

#[tokio::test]
async fn a_stop_before_the_first_list_waits_for_none() {
    let world = World::start().await;
    let (client, faults) = cut_off(&world);
    let settings = Config {
        namespace: world.system.clone(),
        watch_namespaces: vec![world.namespace.clone()],
        ..Config::default()
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(manager::run(
        client,
        settings,
        Metrics::default(),
        Readiness::default(),
        stop.clone(),
    ));
    let lists = async || faults.count(|record| record.request.resource == "oauthclients") > 0;
    world.eventually("it asks for its objects", lists).await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), running).await;
    ended.expect("it ends by itself").unwrap().unwrap();
}
