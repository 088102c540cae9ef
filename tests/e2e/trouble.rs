//! One object's trouble is its own: an error that stays, a panic; and a credential that changes under everybody.

use std::time::{Duration, Instant};

use futures::future::join_all;
use harness::faults::{Effect, Fault as ClusterFault};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use provident_core::api::{ConditionType, Reason};
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::json;

use crate::requests::{finalizer_write, strike_from};
use crate::world::{TOKEN_SECRET, World, is_ready};

#[tokio::test]
async fn s47_a_client_that_always_fails_backs_off_and_the_others_go_on() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let poison = world
        .settled("poison", json!({ "rateLimitCount": 7 }))
        .await;
    let names: Vec<_> = (0..20).map(|n| format!("web-{n:02}")).collect();
    join_all(names.iter().map(|name| world.declare(name, json!({})))).await;
    join_all(names.iter().map(|name| world.until_ready(name))).await;
    world.silence().await;
    let failing = |operation| Rule {
        operation,
        client: Some(poison.clone()),
        fault: Fault::answer(When::BeforeCommit, 500),
        every: None,
        count: None,
    };
    world.emulator.faults().add(failing(Operation::Update));
    let calls = world.emulator.calls().len();
    world
        .patch("poison", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    world
        .until_told("poison", Reason::VendorUnavailable, &["500"])
        .await;

    let start = Instant::now();
    let edit = json!({ "spec": { "rateLimitCount": 9 } });
    join_all(names.iter().map(|name| world.patch(name, edit.clone()))).await;
    join_all(names.iter().map(|name| world.until_ready(name))).await;
    println!("20 edits beside the poison: {:?}", start.elapsed());
    world
        .watch_for(Duration::from_secs(10).saturating_sub(start.elapsed()))
        .await;
    let tries = world
        .emulator
        .calls()
        .split_off(calls)
        .into_iter()
        .filter(|call| {
            call.operation == Operation::Update && call.client_id.as_ref() == Some(&poison)
        });
    // 1, 2, 4, 8 s between them, each cut by a fifth at most, and growing to 5 min: some 20 in the first hour.
    let tries = tries.count();
    assert!((2..=7).contains(&tries), "{tries} tries in 10 s");
    world.emulator.faults().clear();
    world.until_ready("poison").await;
    world.check().await;
}

#[tokio::test]
async fn s48_a_token_that_is_replaced_is_used_without_a_restart() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    // The vendor's side first: until the Secret follows, every call is refused.
    world.emulator.set_token("second-token");
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    let message = world.until_reason("web", Reason::ConnectionNotReady).await;
    for word in ["token", &world.connection] {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
    world.declare("new", json!({})).await;
    world.until_reason("new", Reason::ConnectionNotReady).await;
    world.until_connection(Reason::CredentialsRejected).await;

    world.put_token("second-token").await;
    let start = Instant::now();
    world.until_ready("web").await;
    world.until_ready("new").await;
    println!("from the new token to all Ready: {:?}", start.elapsed());
    assert_eq!(
        world
            .creates("new")
            .iter()
            .filter(|call| call.committed)
            .count(),
        1
    );
    world.check().await;
}

#[tokio::test]
async fn s48_a_token_emptied_or_deleted_is_told_and_back_in_use_at_once() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    let token = world.emulator.token();
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &world.system);
    for (n, away) in ["emptied", "deleted"].into_iter().enumerate() {
        if away == "deleted" {
            let params = DeleteParams::default();
            secrets.delete(TOKEN_SECRET, &params).await.unwrap();
        } else {
            let (empty, params) = (json!({ "data": null }), PatchParams::default());
            secrets
                .patch(TOKEN_SECRET, &params, &Patch::Merge(&empty))
                .await
                .unwrap();
        }
        let reported = world.until_connection(Reason::CredentialsNotFound).await;
        assert!(
            reported.contains(TOKEN_SECRET) && reported.contains(&world.system),
            "{reported}"
        );
        // What is settled stays so; what has work says why it waits.
        assert!(is_ready(&world.get("web").await));
        let name = format!("new-{n}");
        world.declare(&name, json!({})).await;
        let message = world.until_reason(&name, Reason::ConnectionNotReady).await;
        let command = format!(
            "kubectl describe clusterprovidentconnections.oauth.provident.ae {}",
            world.connection
        );
        assert!(message.contains(&command), "{message}");
        assert_eq!(world.creates(&name), []);
        world.put_token(&token).await;
        world.until_ready(&name).await;
    }
    world.check().await;
}

#[tokio::test]
async fn s49_a_panic_in_one_pass_is_counted_and_the_others_go_on() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let panics = Effect::run(|_| async { panic!("injected") });
    let met = strike_from(
        &operator.faults,
        1,
        finalizer_write(&world, "cursed"),
        ClusterFault::before(panics),
    );
    world.declare("cursed", json!({})).await;
    let counted = async || met.count() >= 2;
    world.eventually("it comes back", counted).await;
    world.declare("next", json!({})).await;
    world.until_ready("next").await;
    world.verify_now("web").await;
    world.watch_for(Duration::from_secs(4)).await;
    // 1, 2, 4 s between them.
    assert!(met.count() <= 4, "{} passes: no backoff", met.count());
    let text = operator.metrics.text();
    let count = text
        .lines()
        .find_map(|line| line.strip_prefix("provident_operator_reconcile_panics_total "));
    assert!(count.unwrap().parse::<usize>().unwrap() >= 2, "{text}");
    assert_eq!(world.creates("cursed"), []);

    operator.faults.clear();
    world.until_ready("cursed").await;
    world.check().await;
}

#[tokio::test]
async fn s49_a_panic_right_after_the_create_makes_no_second_client() {
    let world = World::start().await;
    let operator = world.start_operator();
    // The Secret is about to be written: the answer is in memory and the log only.
    let panics = Effect::run(|_| async { panic!("injected") });
    let write = crate::requests::secret_write(&world);
    crate::requests::strike_nth(&operator.faults, 1, write, ClusterFault::before(panics));
    world.declare("web", json!({})).await;
    world.until_ready("web").await;
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s52_the_time_of_a_condition_moves_only_with_its_status() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({ "rateLimitCount": 7 })).await;
    let times = async || {
        let object = world.get("web").await;
        [
            ConditionType::Ready,
            ConditionType::Synced,
            ConditionType::SecretReady,
        ]
        .map(|type_| {
            object
                .condition(type_)
                .unwrap()
                .last_transition_time
                .clone()
        })
    };
    let before = times().await;
    // Times are whole seconds: one that moved would differ.
    world.watch_for(Duration::from_millis(1100)).await;
    world.verify_now("web").await;
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 8 } }))
        .await;
    world.until_ready("web").await;
    assert_eq!(
        times().await,
        before,
        "neither a verification nor an edit that goes well"
    );

    // Ready goes and, False all the while, changes its reason: one transition.
    let failing = Fault::answer(When::BeforeCommit, 500);
    world.emulator.faults().always(Operation::Update, failing);
    world
        .patch("web", json!({ "spec": { "rateLimitCount": 9 } }))
        .await;
    world.until_reason("web", Reason::VendorUnavailable).await;
    let failed = times().await;
    assert_ne!(failed[0], before[0]);
    assert_eq!(failed[2], before[2], "the Secret was right throughout");
    world.watch_for(Duration::from_millis(1100)).await;
    world.emulator.faults().clear();
    let ignored = Fault::IgnoreFields(vec!["rateLimitCount".to_owned()]);
    world.emulator.faults().always(Operation::Update, ignored);
    world.until_reason("web", Reason::UpdateNotApplied).await;
    assert_eq!(
        times().await[0],
        failed[0],
        "another reason, the same status"
    );
    world.emulator.faults().clear();
    world.drift(&client_id, |client| client.rate_limit_count = 9);
    world.verify_now("web").await;
    world.until_ready("web").await;
    world.check().await;
}
