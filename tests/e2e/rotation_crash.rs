//! Crashes and lost answers in the middle of a rotation: GET decides, and a token rotates once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use harness::faults::{Faults, Moment};
use provident_emulator::{Fault, Operation, When};
use serde_json::json;

use crate::point::Point;
use crate::requests::{Such, secret_write, status_write};
use crate::world::World;

#[tokio::test]
async fn s29_a_crash_at_every_request_of_a_rotation_rotates_once() {
    let mut world = World::start().await;
    // A rotation may run for half of this after a crash.
    world.attempt_wait = Duration::from_secs(2);
    let mut operator = world.start_operator();
    world.settled("web", json!({})).await;
    let points: [(&str, Moment, Which); 6] = [
        ("before the record", Moment::Before, |w| {
            status_write(w, "web")
        }),
        ("after the record", Moment::After, |w| {
            status_write(w, "web")
        }),
        ("before the Secret", Moment::Before, secret_write),
        ("after the Secret", Moment::After, secret_write),
        ("before the report", Moment::Before, report),
        ("after the report", Moment::After, report),
    ];
    for (k, (what, moment, such)) in points.into_iter().enumerate() {
        let token = format!("t{k}");
        let such = such(&world);
        let point = Point::at(&operator.faults, moment, move |request| such(request));
        world.ask_for_rotation("web", &token).await;
        point.reached().await;
        operator.crash().await;
        operator = world.start_operator();
        world.until_rotated("web", &token).await;
        assert_eq!(world.rotations(), k + 1, "crashed {what}");
        world.credential("web").await;
    }
    world.check().await;
}

// One of the requests of a rotation.
type Which = fn(&World) -> Such;

// A rotation's second write of status: the report, which follows the Secret.
fn report(world: &World) -> Such {
    let (status, secret) = (status_write(world, "web"), secret_write(world));
    let stored = AtomicBool::new(false);
    Arc::new(move |request| {
        if secret(request) {
            stored.store(true, SeqCst);
        }
        status(request) && stored.load(SeqCst)
    })
}

#[tokio::test]
async fn s29_a_crash_while_the_vendor_rotates_rotates_once() {
    for when in [When::BeforeCommit, When::AfterCommit] {
        let mut world = World::start().await;
        world.attempt_wait = Duration::from_secs(2);
        let operator = world.start_operator();
        world.settled("web", json!({})).await;
        let gate = world.emulator.faults().gate(Operation::Rotate, when);
        world.ask_for_rotation("web", "1").await;
        world.arrived(&gate, 1).await;
        operator.crash().await;
        // A vendor that has read it may carry it out though nobody waits any more.
        gate.release();
        let _operator = world.start_operator();
        world.until_rotated("web", "1").await;
        world.credential("web").await;
        assert_eq!(world.rotations(), 1, "{when:?}");
        world.check().await;
    }
}

#[tokio::test]
async fn s30_after_an_unknown_outcome_get_decides() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    for (k, fault) in [
        Fault::Drop(When::AfterCommit),
        Fault::answer(When::AfterCommit, 503),
        Fault::Drop(When::BeforeCommit),
        Fault::answer(When::BeforeCommit, 500),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("t{k}");
        world
            .emulator
            .faults()
            .once(Operation::Rotate, fault.clone());
        world.ask_for_rotation("web", &token).await;
        world.until_rotated("web", &token).await;
        world.credential("web").await;
        assert_eq!(world.rotations(), k + 1, "{fault:?}");
    }
    world.check().await;
}

#[tokio::test]
async fn a_restart_into_a_rotation_of_ages_ago_needs_no_more_than_a_get() {
    let world = World::start().await;
    let faults = Faults::new();
    let operator = world.start_operator_with(&faults);
    world.settled("web", json!({})).await;
    // The new secret is at the vendor, and everything after it is lost.
    let such = secret_write(&world);
    let point = Point::at(&faults, Moment::Before, move |request| such(request));
    world.ask_for_rotation("web", "1").await;
    point.reached().await;
    operator.crash().await;
    let object = world.get("web").await;
    assert!(object.status.unwrap().rotation.is_some());
    let calls = world.emulator.calls().len();
    let _operator = world.start_operator();
    world.until_rotated("web", "1").await;
    assert_eq!(world.operations_from(calls), [Operation::Get]);
    world.check().await;
}
