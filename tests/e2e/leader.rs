//! Of several operators under one lease one works. What a lease that is lost, split or frozen over must not do is in
//! `leader_lost`.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use provident_emulator::{Operation, When};
use provident_operator::admin;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::more::client_id;
use crate::operator::Operator;
use crate::world::World;

/// Longer than a lease that nobody renews stays its holder's, and a standby's next look.
pub const LEASE_AND_THREE: Duration = Duration::from_secs(15 + 3);
/// What a lease that was given back may stay without a holder.
const AT_ONCE: Duration = Duration::from_secs(2);

impl World {
    /// A world whose operators work under a lease.
    pub async fn with_a_lease() -> Self {
        let mut world = Self::start().await;
        world.lease = Some("provident-operator".to_owned());
        world
    }

    pub fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.system)
    }

    /// The record in the lease.
    pub async fn lease(&self) -> LeaseSpec {
        let lease = self.leases().get("provident-operator").await.unwrap();
        lease.spec.unwrap()
    }

    /// Waits until this operator leads, and tells how long that took.
    pub async fn until_leads(&self, operator: &Operator) -> Duration {
        let start = Instant::now();
        self.eventually("it leads", async || leads(operator)).await;
        start.elapsed()
    }

    /// An operator that leads and one on standby.
    pub async fn leader_and_standby(&self) -> (Operator, Operator) {
        let leader = self.start_operator();
        self.until_leads(&leader).await;
        let standby = self.start_operator();
        self.until_stands_by(&standby).await;
        (leader, standby)
    }

    // It has read the lease, and `/readyz` says so of its lists.
    async fn until_stands_by(&self, operator: &Operator) {
        let stop = CancellationToken::new();
        let address = admin::serve(
            "127.0.0.1:0".parse().unwrap(),
            operator.metrics.clone(),
            operator.readiness.clone(),
            stop.clone(),
        );
        let url = format!("http://{}/readyz", address.await.unwrap());
        let ready = async || reqwest::get(&url).await.unwrap().status().is_success();
        self.eventually("a standby is ready", ready).await;
        stop.cancel();
        let looked = |faults: &harness::faults::Faults| {
            faults.count(|record| record.request.resource == "leases" && record.status.is_some())
                > 0
        };
        self.until_requests(operator, "a look at the lease", looked)
            .await;
        assert!(!leads(operator));
    }
}

/// What its metrics say.
pub fn leads(operator: &Operator) -> bool {
    let text = operator.metrics.text();
    text.lines()
        .any(|line| line == "provident_operator_leader 1")
}

#[tokio::test]
async fn a_standby_is_ready_and_does_nothing_at_all_and_begins_with_everything_once_it_leads() {
    let world = World::with_a_lease().await;
    // Somebody who holds it for an hour: all that happens is the standby's doing.
    let lease = serde_json::from_value(json!({
        "metadata": { "name": "provident-operator", "labels": { "team": "a" } },
        "spec": { "holderIdentity": "somebody", "leaseDurationSeconds": 3600, "leaseTransitions": 4 },
    }));
    let post = PostParams::default();
    world.leases().create(&post, &lease.unwrap()).await.unwrap();
    world.declare("web", json!({})).await;
    let standby = world.start_operator();
    world.until_stands_by(&standby).await;
    // News of every kind, and one that the leader seems to have let go.
    world.declare("shop", json!({})).await;
    world
        .patch("web", json!({ "spec": { "tokenLifetimeSeconds": 3600 } }))
        .await;
    world
        .edit_connection(json!({ "requestsPerSecond": 50 }))
        .await;
    world.declare("left", json!({})).await;
    world
        .patch_status("left", json!({ "clientId": "abc" }))
        .await;
    world.delete("left").await;
    world.watch_for(Duration::from_secs(4)).await;

    let does = standby.faults.count(|record| {
        let request = &record.request;
        request.is_write() || request.dry_run || request.resource == "events"
    });
    assert_eq!(does, 0, "{:#?}", standby.faults.records());
    assert_eq!(world.emulator.calls(), []);
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    let key = secrets.get_opt("provident-operator-binding-key").await;
    assert!(key.unwrap().is_none(), "the key is the leader's to make");
    let orphans = "provident_operator_orphaned_clients_total 0";
    assert!(standby.metrics.text().contains(orphans));

    let free: Value = json!({ "spec": { "holderIdentity": null } });
    let params = PatchParams::default();
    let freed = world.leases();
    freed
        .patch("provident-operator", &params, &Patch::Merge(&free))
        .await
        .unwrap();
    let took = world.until_leads(&standby).await;
    assert!(took < AT_ONCE, "{took:?}");
    world.until_ready("web").await;
    world.until_ready("shop").await;
    let lease = world.leases().get("provident-operator").await.unwrap();
    assert!(lease.metadata.labels.is_some(), "somebody else's label");
    let spec = lease.spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(5));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert!(spec.acquire_time.is_some() && spec.renew_time >= spec.acquire_time);
    world.check().await;
}

#[tokio::test]
async fn a_stop_hands_over_at_once_and_settled_clients_cost_nothing() {
    let world = World::with_a_lease().await;
    let (first, second) = world.leader_and_standby().await;
    world.settled("web", json!({})).await;
    let before = world.lease().await;
    let calls = world.emulator.calls().len();
    let begun = Instant::now();
    first.begin_stop();
    world.until_leads(&second).await;
    let took = begun.elapsed();
    eprintln!("taken over {took:?} after SIGTERM");
    assert!(took < AT_ONCE, "{took:?}");
    first.stopped().await;

    world.silence().await;
    let after = world.lease().await;
    assert_ne!(after.holder_identity, before.holder_identity);
    assert_eq!(
        after.lease_transitions.unwrap(),
        before.lease_transitions.unwrap() + 1
    );
    assert!(after.acquire_time > before.acquire_time);
    assert_eq!(world.emulator.calls().len(), calls, "a call for nothing");
    let writes = second.faults.writes_by_resource();
    assert_eq!(writes.keys().collect::<Vec<_>>(), ["leases"], "{writes:?}");

    world.declare("shop", json!({})).await;
    world.until_ready("shop").await;
    world.check().await;
}

#[tokio::test]
async fn a_standby_of_long_does_not_verify_what_the_leader_has_just_verified() {
    let world = World::with_a_lease().await;
    let (first, second) = world.leader_and_standby().await;
    world
        .settled("web", json!({ "refreshInterval": "1m" }))
        .await;
    let gets = || world.emulator.count(Operation::Get);
    let before = gets();
    world
        .eventually_within(
            Duration::from_secs(90),
            "the leader verifies by schedule",
            async || gets() > before,
        )
        .await;
    let before = gets();
    first.begin_stop();
    first.stopped().await;
    world.until_leads(&second).await;
    world.watch_for(Duration::from_secs(3)).await;
    assert_eq!(gets(), before);
    world.check().await;
}

#[tokio::test]
async fn s50_a_stop_during_creates_gives_the_lease_back_after_the_last_answer_is_stored() {
    let world = World::with_a_lease().await;
    let (first, second) = world.leader_and_standby().await;
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::BeforeCommit);
    // As many as the connection lets out at once.
    let names: Vec<_> = (0..32).map(|index| format!("web-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    world.arrived(&gate, names.len()).await;
    let holder = world.lease().await.holder_identity;
    first.begin_stop();
    // Longer than any lease: it is renewed meanwhile.
    world.watch_for(LEASE_AND_THREE).await;
    assert_eq!(world.lease().await.holder_identity, holder);
    assert!(!leads(&second) && !first.has_left());
    gate.release();
    world
        .eventually("the lease is given back", async || {
            world.lease().await.holder_identity != holder
        })
        .await;
    let begun = Instant::now();
    let objects = world.objects().list(&ListParams::default()).await.unwrap();
    let stored = objects.iter().filter(|object| client_id(object).is_some());
    assert_eq!(stored.count(), names.len(), "not every answer is stored");
    world.until_leads(&second).await;
    let took = begun.elapsed();
    eprintln!("taken over {took:?} after the last answer was stored");
    assert!(took < AT_ONCE, "{took:?}");
    first.stopped().await;
    for name in &names {
        world.until_ready(name).await;
        assert_eq!(world.creates(name).len(), 1, "{name}");
    }
    world.check().await;
}

#[tokio::test]
async fn a_crash_is_taken_over_when_the_lease_is_old_and_by_none_of_the_same_pod_before() {
    let world = World::with_a_lease().await;
    let (first, second) = world.leader_and_standby().await;
    world.settled("web", json!({})).await;
    let holder = world.lease().await;
    first.crash().await;
    let begun = Instant::now();
    world.until_leads(&second).await;
    let took = begun.elapsed();
    eprintln!("taken over {took:?} after a crash");
    assert!(took < LEASE_AND_THREE, "{took:?}");
    assert!(
        took > Duration::from_secs(9),
        "{took:?}: its term was not over"
    );
    assert_ne!(world.lease().await.holder_identity, holder.holder_identity);
    world.declare("shop", json!({})).await;
    world.until_ready("shop").await;
    world.check().await;
}

#[tokio::test]
async fn a_lease_that_somebody_deletes_is_made_anew_and_the_leader_stays() {
    let world = World::with_a_lease().await;
    let leader = world.start_operator();
    world.until_leads(&leader).await;
    let (leases, params) = (world.leases(), DeleteParams::default());
    let _ = leases.delete("provident-operator", &params).await.unwrap();
    let created_again = async || {
        let lease = leases.get_opt("provident-operator").await.unwrap();
        lease.is_some()
    };
    world
        .eventually("the lease is created again", created_again)
        .await;
    assert!(leads(&leader) && !leader.has_left());
    world.declare("web", json!({})).await;
    world.until_ready("web").await;
    world.check().await;
}
