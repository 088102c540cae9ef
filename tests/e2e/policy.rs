//! `unknownOutcomePolicy is Retry`: the decision that a create of unknown outcome is made once more, taken beforehand.

use std::time::Duration;

use provident_core::api::{EventReason, Reason};
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::json;

use crate::world::{World, attempt, is_stalled, ready};

impl World {
    fn lose_creates(&self, name: &str, count: u32) {
        self.emulator.faults().add(Rule {
            operation: Operation::Create,
            client: Some(self.vendor_name(name)),
            fault: Fault::Drop(When::AfterCommit),
            every: None,
            count: Some(count),
        });
    }

    fn counted(&self, metric: &str) -> u64 {
        let texts: Vec<_> = self
            .metrics
            .lock()
            .unwrap()
            .iter()
            .map(provident_operator::metrics::Metrics::text)
            .collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        lines
            .filter_map(|line| line.strip_prefix(metric)?.strip_prefix(' '))
            .map(|value| value.parse::<u64>().unwrap())
            .sum()
    }
}

const ORPHANS: &str = "provident_operator_possible_orphans_total";

#[tokio::test]
async fn an_unknown_outcome_is_tried_once_more_after_the_wait_and_counted() {
    let world = World::start().await;
    world
        .edit_connection(json!({ "unknownOutcomePolicy": "Retry" }))
        .await;
    let _operator = world.start_operator();
    world.lose_creates("storefront", 1);
    world.declare("storefront", json!({})).await;
    let waits = world
        .until("storefront", "waiting for its second try", |object| {
            ready(object)
                .is_some_and(|ready| ready.message.contains("unknownOutcomePolicy is Retry"))
        })
        .await;
    assert!(!is_stalled(&waits), "nobody has to act");
    world.until_ready("storefront").await;
    let posts = world.creates("storefront");
    assert_eq!(posts.len(), 2, "{posts:#?}");
    let apart = posts[0].at.duration_until(posts[1].at);
    assert!(
        apart >= jiff::SignedDuration::try_from(world.attempt_wait).unwrap(),
        "{apart:?}"
    );
    let words = [
        "unknownOutcomePolicy is Retry",
        &world.vendor_name("storefront"),
    ];
    world
        .until_event_with("storefront", EventReason::CreateRetried, &words)
        .await;
    assert_eq!(world.counted(ORPHANS), 1);
    world.check_with(&[("storefront", 1)]).await;
}

#[tokio::test]
async fn a_second_unknown_outcome_is_held_for_a_person_and_stays_so() {
    let world = World::start().await;
    world
        .edit_connection(json!({ "unknownOutcomePolicy": "Retry" }))
        .await;
    let operator = world.start_operator();
    world.lose_creates("storefront", 2);
    world.declare("storefront", json!({})).await;
    world
        .until_reason("storefront", Reason::CreateOutcomeUnknown)
        .await;
    let held = world.get("storefront").await;
    assert!(is_stalled(&held) && attempt(&held).is_some());
    assert_eq!(world.creates("storefront").len(), 2);
    operator.crash().await;
    let _operator = world.start_operator();
    world.watch_for(world.attempt_wait * 2).await;
    world.silence().await;
    assert_eq!(world.creates("storefront").len(), 2);
    assert_eq!(world.counted(ORPHANS), 1);
    world.check_with(&[("storefront", 1)]).await;
}

#[tokio::test]
async fn another_process_attempt_is_tried_again_only_after_the_wait_and_a_probe() {
    let world = World::start().await;
    world
        .edit_connection(json!({ "unknownOutcomePolicy": "Retry" }))
        .await;
    let operator = world.start_operator();
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("storefront", json!({})).await;
    world.arrived(&gate, 1).await;
    operator.crash().await;
    gate.release();
    // A vendor that is away answers no probe.
    for operation in [Operation::Get, Operation::Create] {
        world
            .emulator
            .faults()
            .always(operation, Fault::answer(When::BeforeCommit, 503));
    }
    let _operator = world.start_operator();
    world
        .watch_for(world.attempt_wait + Duration::from_secs(3))
        .await;
    assert_eq!(world.creates("storefront").len(), 1);
    world.emulator.faults().clear();
    world.until_ready("storefront").await;
    assert_eq!(world.creates("storefront").len(), 2);
    world.check_with(&[("storefront", 1)]).await;
}
