//! An API server that loses answers, refuses, is away, or never answers.

use std::time::Duration;

use harness::faults::{Effect, Fault};
use provident_core::api::Reason;
use provident_emulator::{Operation, When};
use serde_json::json;

use crate::more::{client_id, reason};
use crate::requests::{
    Such, dry_run, finalizer_write, secret_write, sent, status_write, strike_from, strike_nth,
};
use crate::world::{World, is_ready};

/// The requests of a create in their order, and which such request of the object each is.
fn requests_of_a_create(world: &World, name: &str) -> [(Such, usize); 5] {
    [
        (dry_run(world), 1),
        (finalizer_write(world, name), 1),
        (status_write(world, name), 1),
        (secret_write(world), 1),
        (status_write(world, name), 2),
    ]
}

#[tokio::test]
async fn s20_a_write_answered_504_though_it_was_stored_is_recognised_as_our_own() {
    let world = World::start().await;
    let operator = world.start_operator();
    for (index, name) in ["finalizer", "claim", "secret", "report"]
        .into_iter()
        .enumerate()
    {
        operator.faults.clear();
        operator.faults.forget();
        let [_, writes @ ..] = requests_of_a_create(&world, name);
        let (such, k) = writes[index].clone();
        let met = strike_nth(&operator.faults, k, such, Fault::after(Effect::Answer(504)));
        world.declare(name, json!({})).await;
        world.until_ready(name).await;
        assert!(met.count() >= k, "{name}: never struck");
        assert_eq!(world.creates(name).len(), 1, "{name}");
        // What is right already is not written again.
        assert_eq!(sent(&operator.faults, &secret_write(&world)), 1, "{name}");
    }
    world.check().await;
}

#[tokio::test]
async fn s21_an_edit_while_status_is_written_ends_in_the_status_of_the_edit() {
    let world = World::start().await;
    let operator = world.start_operator();
    for (name, k) in [("claim", 1), ("report", 2)] {
        operator.faults.clear();
        let objects = world.objects();
        let edit = Effect::run(move |_| {
            let objects = objects.clone();
            async move {
                let edit = json!({ "spec": { "tokenLifetimeSeconds": 10800 } });
                let (params, edit) = (
                    kube::api::PatchParams::default(),
                    kube::api::Patch::Merge(&edit),
                );
                objects.patch(name, &params, &edit).await.unwrap();
            }
        });
        let such = status_write(&world, name);
        strike_nth(&operator.faults, k, such, Fault::before(edit));
        world
            .declare(name, json!({ "tokenLifetimeSeconds": 3600 }))
            .await;
        let settled = world
            .until(name, "ready at its second generation", |object| {
                object.metadata.generation == Some(2) && is_ready(object)
            })
            .await;
        let client = world
            .emulator
            .client(&client_id(&settled).unwrap())
            .unwrap();
        assert_eq!(client.token_lifetime_seconds, 10800, "{name}");
        assert_eq!(world.creates(name).len(), 1, "{name}");
    }
    world.check().await;
}

#[tokio::test]
async fn s22_without_the_right_to_write_status_nothing_is_created() {
    let world = World::start().await;
    let operator = world.start_operator();
    let refuse = Fault::before(Effect::Answer(403));
    let refused = strike_from(&operator.faults, 1, status_write(&world, "web"), refuse);
    world.declare("web", json!({})).await;
    world
        .eventually("it has come back twice", async || refused.count() >= 3)
        .await;
    no_hot_loop(&world, || refused.count()).await;
    assert_eq!(world.creates("web"), []);

    operator.faults.clear();
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn s22_status_refused_after_the_claim_costs_no_second_client() {
    let world = World::start().await;
    let operator = world.start_operator();
    let refuse = Fault::before(Effect::Answer(403));
    let refused = strike_from(&operator.faults, 2, status_write(&world, "web"), refuse);
    world.declare("web", json!({})).await;
    world
        .eventually("it has come back twice", async || refused.count() >= 4)
        .await;
    no_hot_loop(&world, || refused.count()).await;
    // The application works all the same: the Secret came first.
    let client = world.only_client();
    let data = world.secret("web").await.unwrap().data.unwrap();
    assert_eq!(data["clientSecret"].0, client.client_secret.as_bytes());

    operator.faults.clear();
    assert_eq!(world.until_ready("web").await, client.client_id);
    assert_eq!(world.creates("web").len(), 1);
    assert_eq!(sent(&operator.faults, &secret_write(&world)), 1);
    world.check().await;
}

// With waits of about 1, 2, 4 s … three tries at most fall into two seconds.
async fn no_hot_loop(world: &World, tried: impl Fn() -> usize) {
    let before = tried();
    world.watch_for(Duration::from_secs(2)).await;
    let meanwhile = tried() - before;
    assert!(meanwhile <= 3, "{meanwhile} tries in two seconds");
}

#[tokio::test]
async fn s41_an_outage_right_after_the_post_loses_nothing() {
    outage(Duration::from_secs(15)).await;
}

#[tokio::test]
async fn s41_a_minute_without_an_api_server_loses_nothing() {
    outage(Duration::from_mins(1)).await;
}

async fn outage(length: Duration) {
    let world = World::start().await;
    let operator = world.start_operator();
    let gate = world
        .emulator
        .faults()
        .gate(Operation::Create, When::AfterCommit);
    world.declare("web", json!({})).await;
    world.arrived(&gate, 1).await;
    operator.faults.set_outage(true);
    gate.release();
    world.watch_for(length).await;
    assert_eq!(client_id(&world.get("web").await), None);
    assert_eq!(world.secret("web").await, None);
    operator.faults.set_outage(false);

    assert_eq!(
        world.until_ready("web").await,
        world.only_client().client_id
    );
    assert_eq!(world.creates("web").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s42_a_request_that_is_never_answered_parks_nothing() {
    let mut world = World::start().await;
    world.request_within = Duration::from_secs(2);
    let operator = world.start_operator();
    for (moment, fault) in [
        ("lost", Fault::before(Effect::Hang)),
        ("unanswered", Fault::after(Effect::Hang)),
    ] {
        for index in 0..5 {
            operator.faults.clear();
            let name = format!("{moment}-{index}");
            let (such, k) = requests_of_a_create(&world, &name)[index].clone();
            let met = strike_nth(&operator.faults, k, such, fault.clone());
            world.declare(&name, json!({})).await;
            world.until_ready(&name).await;
            assert!(met.count() >= k, "{name}: never struck");
            assert_eq!(world.creates(&name).len(), 1, "{name}");
        }
    }
    world.check().await;
}

#[tokio::test]
async fn s42_while_one_object_hangs_the_others_go_on() {
    let world = World::start().await;
    let operator = world.start_operator();
    let hang = Fault::before(Effect::Hang);
    let hangs = strike_from(&operator.faults, 1, finalizer_write(&world, "stuck"), hang);
    world.declare("stuck", json!({})).await;
    world
        .eventually("one hangs", async || hangs.count() > 0)
        .await;
    world.declare("web", json!({})).await;
    world.until_ready("web").await;
    assert_eq!(reason(&world.get("stuck").await), Reason::Pending.as_str());

    operator.faults.clear();
    world.until_ready("stuck").await;
    world.check().await;
}
