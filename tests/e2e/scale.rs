//! Many clients: small versions of what `cargo dev bench` does with thousands.

use std::time::Duration;

use harness::faults::Record;
use kube::api::ListParams;
use provident_emulator::{Answer, Fault, Operation, Rule, When};
use serde_json::json;

use crate::world::{World, is_ready};

const MANY: usize = 200;
/// The operator's bound on calls in flight over one connection.
const IN_FLIGHT: usize = 32;

impl World {
    async fn declare_many(&self) {
        self.edit_connection(json!({ "requestsPerSecond": 1000 }))
            .await;
        for index in 0..MANY {
            // No scheduled verification falls into the test.
            let spec = json!({ "refreshInterval": "8760h" });
            self.declare(&format!("many-{index}"), spec).await;
        }
    }

    async fn until_all_ready(&self) {
        let patience = Duration::from_mins(4);
        self.eventually_within(patience, "all are Ready", async || {
            let all = self.objects().list(&ListParams::default()).await.unwrap();
            all.iter().all(is_ready)
        })
        .await;
    }
}

#[tokio::test]
async fn s45_a_restart_with_many_settled_clients_writes_nothing_and_asks_the_vendor_nothing() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.declare_many().await;
    world.until_all_ready().await;
    world.silence().await;
    operator.crash().await;
    let calls = world.emulator.calls().len();

    let operator = world.start_operator();
    let passes = "reconcile_total{kind=\"OAuthClient\",result=\"success\"}";
    let many = f64::from(u32::try_from(MANY).unwrap());
    let looked = async || operator.figure(passes) >= many;
    world
        .eventually("every object was reconciled again", looked)
        .await;
    world.silence().await;
    let written = |record: &Record| {
        record.sent
            && (record.request.is_write()
                || record.request.resource == "events" && record.request.method == "POST")
    };
    assert_eq!(operator.faults.count(written), 0, "events too");
    let of_one = |record: &Record| {
        record.sent && record.request.name.is_some() && record.request.resource == "oauthclients"
    };
    assert_eq!(
        operator.faults.count(of_one),
        0,
        "nor is any read one by one"
    );
    assert_eq!(world.emulator.calls().len(), calls);
    world.check().await;
}

#[tokio::test]
async fn s46_many_clients_over_a_slow_vendor_that_refuses_a_tenth_are_all_made_once() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    for operation in [Operation::Create, Operation::Get] {
        let faults = world.emulator.faults();
        faults.set_latency(operation, Duration::from_millis(50));
        faults.add(Rule {
            operation,
            client: None,
            fault: Fault::Answer(Answer::new(When::BeforeCommit, 429).header("Retry-After", "1")),
            every: std::num::NonZeroU32::new(10),
            count: None,
        });
    }
    world.declare_many().await;
    world.until_all_ready().await;
    assert_eq!(world.emulator.clients().len(), MANY + 1);
    let refused =
        world.emulator.count(Operation::Create) - world.emulator.commits(Operation::Create);
    assert!(refused >= MANY / 10, "{refused} creates were refused");
    let most = world.emulator.most_in_flight();
    assert!(
        most > 1 && most <= IN_FLIGHT,
        "{most} calls were in flight at once"
    );
    world.emulator.faults().clear();
    world.check().await;
}
