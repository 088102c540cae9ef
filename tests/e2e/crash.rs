//! Crashes during a create: an attempt without a known outcome is held, and never made again by the machine.

use std::time::Duration;

use harness::faults::{Faults, Moment};
use provident_core::api::{OAuthClient, RETRY_CREATE, Reason};
use provident_emulator::{Operation, When};
use serde_json::json;

use crate::point::{Point, is_secret_write, is_status_write};
use crate::world::{World, attempt, is_stalled, ready};

#[tokio::test]
async fn s01_a_crash_after_the_vendor_committed_is_held_through_ten_restarts() {
    let mut world = World::start().await;
    world.attempt_wait = Duration::from_secs(1);
    let committed = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    let operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    committed.arrived(1).await;
    operator.crash().await;
    committed.release();

    let mut operator = world.start_operator();
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    let held = world.get("storefront").await;
    assert!(is_stalled(&held), "{held:#?}");
    for _ in 0..10 {
        operator.crash().await;
        operator = world.start_operator();
        // Longer than the wait after which an attempt counts as over: who would create again would do it now.
        world.watch_for(world.attempt_wait * 2).await;
    }
    assert_eq!(world.creates("storefront").len(), 1, "a second POST");
    let now = world.get("storefront").await;
    assert_eq!(
        now.metadata.resource_version, held.metadata.resource_version,
        "a restart has nothing new to tell"
    );
    assert!(world.secret("storefront").await.is_none());
    world.check().await;
}

#[tokio::test]
async fn s02_a_crash_between_the_answer_and_the_secret_is_held() {
    let world = World::start().await;
    let faults = Faults::new();
    let secret = Point::at(&faults, Moment::Before, |request| {
        is_secret_write(request) && request.name.is_none() && request.namespace.is_some()
    });
    let operator = world.start_operator_with(&faults);
    // The binding key is a Secret too, and comes first.
    secret.reached().await;
    secret.release();
    let secret = Point::at(&faults, Moment::Before, is_secret_write);
    world.declare("storefront", json!({})).await;
    secret.reached().await;
    operator.crash().await;

    let _operator = world.start_operator();
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    assert_eq!(world.creates("storefront").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s02_a_graceful_stop_stores_the_answer_that_is_in_flight() {
    let world = World::start().await;
    let committed = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    let operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    committed.arrived(1).await;
    operator.begin_stop();
    committed.release();
    operator.stopped().await;

    // Nobody runs any more: what there is was stored before the exit.
    let stored = world.get("storefront").await;
    assert!(crate::world::is_ready(&stored), "{stored:#?}");
    assert!(world.secret("storefront").await.is_some());
    world.check().await;
}

#[tokio::test]
async fn s03_a_crash_between_secret_and_status_is_taken_up_from_the_secret() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let secret = Point::at(&operator.faults, Moment::After, is_secret_write);
    world.declare("storefront", json!({})).await;
    secret.reached().await;
    operator.crash().await;

    let operator = world.start_operator();
    let client_id = world.until_ready("storefront").await;
    assert_eq!(world.creates("storefront").len(), 1, "no second POST");
    let reads = world.emulator.calls().into_iter();
    let reads = reads.filter(|call| {
        call.operation == Operation::Get && call.client_id.as_ref() == Some(&client_id)
    });
    assert_eq!(reads.count(), 1, "what the Secret holds is verified");
    let writes = operator.faults.writes_by_resource();
    assert_eq!(writes.get("secrets"), None, "the Secret is right as it is");
    // One says that the create may still be in progress, the other records the client.
    assert_eq!(writes.get("oauthclients/status"), Some(&2), "{writes:?}");
    world.check().await;
}

#[tokio::test]
async fn s04_a_crash_between_claim_and_post_is_held_and_one_documented_step_ends_it() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let claim = Point::at(&operator.faults, Moment::After, is_status_write);
    world.declare("storefront", json!({})).await;
    claim.reached().await;
    operator.crash().await;
    assert_eq!(world.creates("storefront").len(), 0, "nothing was sent");

    let _operator = world.start_operator();
    let message = world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    let id = attempt(&world.get("storefront").await).unwrap();
    let step = format!(
        "kubectl annotate oauthclients.oauth.provident.ae storefront -n {} --overwrite {RETRY_CREATE}={id}",
        world.namespace
    );
    assert!(message.ends_with(&step), "{message}");
    world.watch_for(world.attempt_wait * 2).await;
    assert_eq!(
        world.creates("storefront").len(),
        0,
        "the machine does not decide that"
    );

    world
        .patch(
            "storefront",
            json!({ "metadata": { "annotations": { RETRY_CREATE: id } } }),
        )
        .await;
    world.until_ready("storefront").await;
    assert_eq!(world.creates("storefront").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s04_a_person_may_allow_a_second_post_and_the_machine_makes_no_third() {
    let world = World::start().await;
    let committed = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    let operator = world.start_operator();
    world.declare("storefront", json!({})).await;
    committed.arrived(1).await;
    operator.crash().await;
    committed.release();
    let operator = world.start_operator();
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    let id = attempt(&world.get("storefront").await).unwrap();

    // The attempt named is not the one that is held: nothing happens.
    world
        .patch(
            "storefront",
            json!({ "metadata": { "annotations": { RETRY_CREATE: "another" } } }),
        )
        .await;
    world.watch_for(world.attempt_wait).await;
    assert_eq!(world.creates("storefront").len(), 1);

    world
        .patch(
            "storefront",
            json!({ "metadata": { "annotations": { RETRY_CREATE: id } } }),
        )
        .await;
    let client_id = world.until_ready("storefront").await;
    assert_eq!(
        world.creates("storefront").len(),
        2,
        "the person's decision"
    );
    assert_eq!(
        world.creates("storefront")[1].client_id.as_ref(),
        Some(&client_id)
    );
    // The annotation stays; it names an attempt that is closed.
    operator.crash().await;
    let _operator = world.start_operator();
    world.watch_for(world.attempt_wait * 2).await;
    assert_eq!(world.creates("storefront").len(), 2);
    world.check_with(&[("storefront", 1)]).await;
}

#[tokio::test]
async fn s04_a_retry_that_is_lost_too_is_held_again_under_its_own_id() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let claim = Point::at(&operator.faults, Moment::After, is_status_write);
    world.declare("storefront", json!({})).await;
    claim.reached().await;
    operator.crash().await;
    let operator = world.start_operator();
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    let first = attempt(&world.get("storefront").await).unwrap();

    let committed = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world
        .patch(
            "storefront",
            json!({ "metadata": { "annotations": { RETRY_CREATE: first } } }),
        )
        .await;
    committed.arrived(1).await;
    operator.crash().await;
    committed.release();
    let _operator = world.start_operator();
    let held_anew = |object: &OAuthClient| {
        attempt(object).is_some_and(|id| {
            id != first && ready(object).is_some_and(|ready| ready.message.contains(&id))
        })
    };
    world
        .until("storefront", "held under the retry's id", held_anew)
        .await;
    world.watch_for(world.attempt_wait).await;
    assert_eq!(
        world.creates("storefront").len(),
        1,
        "one decision, one POST"
    );
    world.check().await;
}
