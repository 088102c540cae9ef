//! Two operators, and views that are out of date: the claim, written with the version it was decided on, lets one pass.

use std::time::Duration;

use harness::faults::{Effect, Fault, Faults, Moment};
use provident_emulator::Operation;
use serde_json::json;
use tokio::sync::watch;

use crate::point::{Point, is_status_write};
use crate::world::World;

#[tokio::test]
async fn s06_a_claim_from_a_stale_view_is_refused() {
    let mut world = World::start().await;
    world.attempt_wait = Duration::from_mins(1);
    let first = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    first.crash().await;

    // This one sees the object as it was declared, and nothing after that.
    let faults = Faults::new();
    let (delayed, wait) = watch::channel(true);
    let hold = Effect::run(move |_| {
        let mut wait = wait.clone();
        async move {
            let _ = wait.wait_for(|delayed| !delayed).await;
        }
    });
    faults.add_rule(move |request| {
        (request.watch && request.resource == "oauthclients").then(|| Fault::before(hold.clone()))
    });
    let claim = Point::at(&faults, Moment::Before, |request| {
        is_status_write(request) && request.name.as_deref() == Some("storefront")
    });
    world.declare("storefront", json!({})).await;
    let stale = world.start_operator_with(&faults);
    claim.reached().await;

    // What a second operator does meanwhile is what somebody who deletes and declares again would do too.
    world
        .patch(
            "storefront",
            json!({ "metadata": { "labels": { "seen": "by-nobody" } } }),
        )
        .await;
    let other = world.start_operator();
    world.until_ready("storefront").await;
    claim.release();
    let refused = |record: &harness::faults::Record| {
        is_status_write(&record.request)
            && record.request.name.as_deref() == Some("storefront")
            && record.status == Some(409)
    };
    world
        .until_requests(&stale, "the claim is refused", |faults| {
            faults.count(refused) > 0
        })
        .await;
    // With the truth read by name, there is nothing left to do; a watch that is behind for long is not paid for by the
    // vendor.
    let calls = world.emulator.calls().len();
    world.watch_for(Duration::from_secs(3)).await;
    let more = world.emulator.calls().len() - calls;
    assert!(more <= 1, "{more} calls for a view that stays stale");
    let taken = |record: &harness::faults::Record| {
        is_status_write(&record.request)
            && record.request.name.as_deref() == Some("storefront")
            && record.status == Some(200)
    };
    assert_eq!(
        stale.faults.count(taken),
        0,
        "nothing computed from the stale view was written"
    );
    delayed.send_replace(false);
    world.silence().await;
    assert_eq!(world.creates("storefront").len(), 1);
    assert_eq!(
        stale.faults.count(taken),
        0,
        "the other one has reported all there is to report"
    );
    other.crash().await;
    world.check().await;
}

#[tokio::test]
async fn s07_of_two_operators_at_the_claim_one_passes() {
    let mut world = World::start().await;
    world.attempt_wait = Duration::from_mins(1);
    let (one, two) = (world.start_operator(), world.start_operator());
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    world.silence().await;
    let claim = |faults: &Faults| {
        Point::at(faults, Moment::Before, |request| {
            is_status_write(request) && request.name.as_deref() == Some("storefront")
        })
    };
    // The finalizer first: else one of them is refused there already, before it comes to the claim.
    let (claim_one, claim_two) = (claim(&one.faults), claim(&two.faults));
    let declared = world.declare_with(
        "storefront",
        json!({ "finalizers": ["oauth.provident.ae/client"] }),
        json!({}),
    );
    declared.await;
    tokio::join!(claim_one.reached(), claim_two.reached());
    claim_one.release();
    claim_two.release();
    world.until_ready("storefront").await;
    world.silence().await;
    assert_eq!(world.creates("storefront").len(), 1);
    let answers = |faults: &Faults, status: u16| {
        faults.count(|record| {
            is_status_write(&record.request)
                && record.request.name.as_deref() == Some("storefront")
                && record.status == Some(status)
        })
    };
    assert!(
        answers(&one.faults, 409) + answers(&two.faults, 409) >= 1,
        "one of the claims was refused"
    );
    world.check().await;
}

#[tokio::test]
async fn s07_two_operators_keep_twenty_clients_with_one_post_each() {
    let mut world = World::start().await;
    world.attempt_wait = Duration::from_mins(1);
    let (_one, _two) = (world.start_operator(), world.start_operator());
    let names: Vec<_> = (0..20).map(|index| format!("client-{index}")).collect();
    for name in &names {
        world.declare(name, json!({})).await;
    }
    for name in &names {
        world.until_ready(name).await;
    }
    assert_eq!(world.emulator.count(Operation::Create), names.len());
    world.check().await;
}
