//! The vendor's patience: what is sent while all is well, and while it is not.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use provident_core::api::{OAuthClient, Reason};
use provident_emulator::{Answer, Fault, Operation, Rule, When};
use serde_json::json;

use crate::world::{World, is_ready};

impl World {
    async fn crowd(&self, count: usize) {
        for index in 0..count {
            self.declare(&format!("crowd-{index}"), json!({})).await;
        }
    }

    /// Another namespace that may use the connection.
    async fn neighbour(&self) -> Api<OAuthClient> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace =
            serde_json::from_value(json!({ "metadata": { "generateName": "e2e-lone-" } })).unwrap();
        let made = namespaces.create(&PostParams::default(), &namespace).await;
        let name = made.unwrap().name_any();
        let rules = json!([{ "namespaces": [self.namespace, name], "scopes": ["*"] }]);
        self.edit_connection(json!({ "access": rules })).await;
        Api::namespaced(self.client.clone(), &name)
    }

    /// Time from the declaration of a client to its Ready.
    async fn time_of(&self, objects: &Api<OAuthClient>, name: &str) -> Duration {
        let object: OAuthClient = serde_json::from_value(json!({
            "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient", "metadata": { "name": name },
            "spec": {
                "allowedScopes": ["listings:read"],
                "connectionRef": { "kind": "ClusterProvidentConnection", "name": self.connection },
            },
        }))
        .unwrap();
        let start = Instant::now();
        objects
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        self.eventually(&format!("{name} is Ready"), async || {
            is_ready(&objects.get(name).await.unwrap())
        })
        .await;
        start.elapsed()
    }
}

#[tokio::test]
async fn a_namespace_with_many_clients_does_not_starve_another_with_one() {
    let mut world = World::start().await;
    let lone = world.neighbour().await;
    let namespace = lone.namespace().unwrap().to_owned();
    world.watch_too(&namespace).await;
    world
        .edit_connection(json!({ "requestsPerSecond": 5 }))
        .await;
    let _operator = world.start_operator();
    let alone = world.time_of(&lone, "alone").await;
    // At five a second these take a minute.
    world.crowd(300).await;
    let mut beside = Vec::new();
    for index in 0..5 {
        beside.push(world.time_of(&lone, &format!("beside-{index}")).await);
    }
    println!("lone client: {alone:?} without the crowd, {beside:?} beside it");
    let waiting = world
        .objects()
        .list(&kube::api::ListParams::default())
        .await
        .unwrap();
    let waiting = waiting.iter().filter(|object| !is_ready(object)).count();
    assert!(waiting > 100, "the crowd was gone: {waiting}");
    beside.sort();
    assert!(beside[2] < Duration::from_secs(3), "{beside:?}");
}

#[tokio::test]
async fn s47_a_poison_client_is_called_for_less_and_less_and_stops_nobody() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("poison", json!({})).await;
    let id = world.until_ready("poison").await;
    for operation in [Operation::Get, Operation::Update] {
        world.emulator.faults().add(Rule {
            operation,
            client: Some(id.clone()),
            fault: Fault::answer(When::BeforeCommit, 500),
            every: None,
            count: None,
        });
    }
    let annotate =
        json!({ "metadata": { "annotations": { "oauth.provident.ae/reconcile": "1" } } });
    world.patch("poison", annotate).await;
    let start = Instant::now();
    let mut times = Vec::new();
    let mut index = 0;
    while start.elapsed() < Duration::from_secs(30) {
        times.push(
            world
                .time_of(&world.objects(), &format!("well-{index}"))
                .await,
        );
        index += 1;
        world.watch_for(Duration::from_millis(700)).await;
    }
    times.sort();
    let calls = world.emulator.calls();
    let about = calls
        .iter()
        .filter(|call| call.client_id.as_ref() == Some(&id) && call.status == Some(500))
        .count();
    println!(
        "poison: {about} calls in 30 s, others: slowest {:?}",
        times.last()
    );
    // 1 + 2 + 4 + 8 + 16 s of backoff, and a probe for each.
    assert!(about <= 14, "{about}");
    assert!(times[times.len() / 2] < Duration::from_secs(2), "{times:?}");
    world.emulator.faults().clear();
    world
        .patch(
            "poison",
            json!({ "metadata": { "annotations": { "oauth.provident.ae/reconcile": "2" } } }),
        )
        .await;
    world.check().await;
}

#[tokio::test]
async fn clients_behind_a_dead_vendor_and_a_bad_token_cost_probes_only() {
    const CLIENTS: usize = 40;
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;

    world.emulator.set_token("another+token/of~vendor");
    world.crowd(CLIENTS).await;
    world.until_connection(Reason::CredentialsRejected).await;
    for index in 0..CLIENTS {
        let name = format!("crowd-{index}");
        world.until_reason(&name, Reason::ConnectionNotReady).await;
    }
    let window = Duration::from_secs(20);
    let before = world.emulator.calls().len();
    world.watch_for(window).await;
    let bad_token = world.emulator.calls().len() - before;
    let repaired = Instant::now();
    world.put_token("another+token/of~vendor").await;
    for index in 0..CLIENTS {
        world.until_ready(&format!("crowd-{index}")).await;
    }
    let all_ready = repaired.elapsed();
    assert!(all_ready < Duration::from_secs(30), "{all_ready:?}");

    for operation in [Operation::Get, Operation::Update, Operation::Create] {
        let answer = Fault::Answer(Answer::new(When::BeforeCommit, 503));
        world.emulator.faults().always(operation, answer);
    }
    for index in 0..CLIENTS {
        let edit = json!({ "spec": { "tokenLifetimeSeconds": 86400 } });
        world.patch(&format!("crowd-{index}"), edit).await;
    }
    world.until_connection(Reason::VendorUnavailable).await;
    let before = world.emulator.calls().len();
    world.watch_for(window).await;
    let dead_vendor = world.emulator.calls().len() - before;
    println!(
        "{CLIENTS} clients, calls in {window:?}: bad token {bad_token}, dead vendor {dead_vendor}; \
         repaired token to all Ready {all_ready:?}"
    );
    // Probes after 1, 2, 4, 8 s, two calls each where the first may be one client's own trouble.
    assert!(bad_token <= 12, "{bad_token}");
    assert!(dead_vendor <= 12, "{dead_vendor}");
    world.emulator.faults().clear();
    for index in 0..CLIENTS {
        world.until_ready(&format!("crowd-{index}")).await;
    }
    world.check().await;
}
