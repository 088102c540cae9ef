//! A leader that loses its lease: what runs ends well, nothing new starts, and two never work at once.

use std::time::{Duration, Instant};

use harness::faults::{Effect, Fault, Faults, Moment, Record};
use provident_core::api::Reason;
use provident_emulator::{Operation, When};
use serde_json::json;

use crate::leader::{LEASE_AND_THREE, leads};
use crate::more::client_id;
use crate::operator::Operator;
use crate::point::{Point, is_status_write};
use crate::world::World;

impl World {
    // The request that an operator is frozen over is not to fail by its own bound.
    const fn with_patient_requests(mut self) -> Self {
        self.request_within = Duration::from_mins(2);
        self
    }

    // Freezes the leader before or after its claim for `storefront`; it goes on when what is returned is dropped.
    async fn freeze_at_the_claim(&self, leader: &Operator, moment: Moment) -> impl Sized + use<> {
        self.settled("web", json!({})).await;
        let claim = Point::at(&leader.faults, moment, is_status_write);
        self.declare("storefront", json!({})).await;
        claim.reached().await;
        let frozen = leader.freeze().await;
        claim.release();
        frozen
    }
}

/// Writes for an object that were sent.
fn writes_for(faults: &Faults, name: &str) -> usize {
    let such = |record: &Record| {
        record.sent && record.request.is_write() && record.request.name.as_deref() == Some(name)
    };
    faults.count(such)
}

/// The API server does not answer anything about leases.
fn lose_lease(operator: &Operator) {
    let faults = &operator.faults;
    faults.add_rule(|request| {
        (request.resource == "leases").then(|| Fault::before(Effect::Answer(500)))
    });
}

#[tokio::test]
async fn s51_a_lease_lost_during_a_post_loses_no_answer_and_the_next_leader_posts_nothing() {
    let mut world = World::with_a_lease().await;
    world.attempt_wait = Duration::from_mins(2);
    let (first, second) = world.leader_and_standby().await;
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("storefront", json!({})).await;
    world.arrived(&gate, 1).await;
    lose_lease(&first);
    let lost = async || !leads(&first);
    world.eventually("the lease is lost", lost).await;
    assert!(!leads(&second));
    // Declared before anybody leads again.
    world.declare("later", json!({})).await;
    world
        .eventually("the other one leads", async || leads(&second))
        .await;
    world.arrived(&gate, 2).await;
    assert!(!first.has_left(), "an answer is on its way to it");
    gate.release();
    world
        .eventually("it leaves", async || first.has_left())
        .await;

    let stored = world.get("storefront").await;
    assert!(client_id(&stored).is_some(), "{stored:#?}");
    world.until_ready("storefront").await;
    world.until_ready("later").await;
    assert_eq!(world.creates("storefront").len(), 1);
    assert_eq!(writes_for(&first.faults, "later"), 0);
    assert!(world.log.text().contains("lost the lease"));
    world.check().await;
}

#[tokio::test]
async fn s51_an_answer_is_stored_though_the_lease_is_lost_and_the_api_server_away_beyond_the_grace()
{
    let mut world = World::with_a_lease().await;
    world.grace = Duration::from_secs(1);
    let first = world.start_operator();
    world.until_leads(&first).await;
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("storefront", json!({})).await;
    world.arrived(&gate, 1).await;
    first.faults.set_outage(true);
    gate.release();
    world
        .eventually("the lease is lost", async || !leads(&first))
        .await;
    world.watch_for(world.grace * 4).await;
    assert!(!first.has_left(), "nobody has stopped it");
    first.faults.set_outage(false);
    world
        .eventually("it leaves", async || first.has_left())
        .await;
    assert_eq!(
        client_id(&world.get("storefront").await),
        Some(world.only_client().client_id)
    );
    // The clientId is enough for whoever leads next.
    let _next = world.start_operator();
    world.until_ready("storefront").await;
    world.check().await;
}

#[tokio::test]
async fn a_leader_without_the_api_server_gives_up_before_another_begins() {
    let world = World::with_a_lease().await;
    let (first, second) = world.leader_and_standby().await;
    world.settled("web", json!({})).await;
    let begun = Instant::now();
    first.faults.set_outage(true);
    let (mut lost, mut taken) = (None, None);
    while taken.is_none() {
        let now = (leads(&first), leads(&second));
        assert_ne!(now, (true, true), "two at work");
        if !now.0 && lost.is_none() {
            lost = Some(begun.elapsed());
        }
        if now.1 {
            taken = Some(begun.elapsed());
        }
        assert!(begun.elapsed() < LEASE_AND_THREE, "nobody leads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (lost, taken) = (lost.unwrap(), taken.unwrap());
    eprintln!("given up {lost:?} and taken over {taken:?} after the API server went away");
    assert!(lost < Duration::from_secs(11), "{lost:?}");
    let apart = Duration::from_secs(3);
    assert!(taken > lost + apart, "{lost:?} {taken:?}");
    world
        .eventually("it leaves", async || first.has_left())
        .await;
    world.declare("shop", json!({})).await;
    world.until_ready("shop").await;
    world.check().await;
}

#[tokio::test]
async fn a_leader_frozen_before_its_claim_wakes_to_find_another_at_work_and_begins_nothing() {
    let world = World::with_a_lease().await.with_patient_requests();
    let (first, second) = world.leader_and_standby().await;
    let frozen = world.freeze_at_the_claim(&first, Moment::Before).await;
    world.until_leads(&second).await;
    world.until_ready("storefront").await;
    world.declare("later", json!({})).await;
    world.until_ready("later").await;
    drop(frozen);
    world
        .eventually("it leaves", async || first.has_left())
        .await;
    assert_eq!(world.creates("storefront").len(), 1, "a second POST");
    let refused = |record: &Record| is_status_write(&record.request) && record.status == Some(409);
    assert_eq!(first.faults.count(refused), 1, "the claim");
    assert_eq!(writes_for(&first.faults, "later"), 0);
    world.check().await;
}

#[tokio::test]
async fn a_leader_frozen_after_its_claim_wakes_without_its_lease_and_sends_no_post() {
    let world = World::with_a_lease().await.with_patient_requests();
    let (first, second) = world.leader_and_standby().await;
    let frozen = world.freeze_at_the_claim(&first, Moment::After).await;
    world.until_leads(&second).await;
    // Nobody but the frozen one knows that it has sent nothing.
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    drop(frozen);
    world
        .eventually("it leaves", async || first.has_left())
        .await;
    assert_eq!(world.creates("storefront").len(), 0);
    world.check().await;
}
