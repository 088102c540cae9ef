//! Watches that expire, break, repeat themselves or fall silent: nothing is missed, and nothing is done twice.

use std::sync::Arc;
use std::time::Duration;

use harness::faults::{Effect, Fault, Faults, RequestInfo, Twist};
use kube::ResourceExt;
use kube::api::DeleteParams;
use provident_emulator::Operation;
use provident_operator::admin;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::requests::strike_from;
use crate::world::World;

fn is_watch_of(request: &RequestInfo, resources: &[&str]) -> bool {
    request.watch && resources.contains(&request.resource.as_str())
}

fn twisted(twist: Twist) -> Faults {
    let faults = Faults::new();
    faults.add_rule(move |request| {
        let such = is_watch_of(
            request,
            &["oauthclients", "secrets", "clusterprovidentconnections"],
        );
        such.then(|| Fault::after(Effect::Watch(twist)))
    });
    faults
}

/// A whole life, as a user leads it: each part must be seen.
async fn live(world: &World) {
    let names = ["one", "two", "three", "four", "five"];
    for name in names {
        world.declare(name, json!({ "rateLimitCount": 7 })).await;
        world.until_ready(name).await;
    }
    for name in names {
        world
            .patch(name, json!({ "spec": { "rateLimitCount": 8 } }))
            .await;
        let client_id = world.until_ready(name).await;
        assert_eq!(
            world.emulator.client(&client_id).unwrap().rate_limit_count,
            8
        );
    }
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    let before = secrets.get("one").await.unwrap();
    secrets.delete("one", &params).await.unwrap();
    let back = async || {
        let after = world.secret("one").await;
        after.is_some_and(|after| after.uid() != before.uid() && after.data == before.data)
    };
    world.eventually("the Secret is back", back).await;
    for name in ["four", "five"] {
        world.delete(name).await;
        world.until_gone(name).await;
        assert_eq!(world.creates(name).len(), 1);
    }
    assert_eq!(world.emulator.commits(Operation::Create), names.len());
    assert_eq!(world.emulator.commits(Operation::Rotate), 0);
}

#[tokio::test]
async fn s40_watches_that_expire_after_two_events_miss_nothing() {
    let world = World::start().await;
    let operator = world.start_operator_with(&twisted(Twist::Expired(2)));
    live(&world).await;
    let watches = operator
        .faults
        .count(|record| is_watch_of(&record.request, &["oauthclients"]));
    assert!(watches > 5, "{watches} watches: they did not expire");
    operator.faults.clear();
    world.check().await;
}

#[tokio::test]
async fn s40_watches_refused_with_410_are_begun_from_a_new_list() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("before", json!({})).await;
    // All open watches break, each new one is refused, and what happens meanwhile is in no watch.
    let faults = operator.faults.clone();
    let every = Arc::new(|request: &RequestInfo| request.watch);
    let refused = strike_from(&faults, 1, every, Fault::before(Effect::Answer(410)));
    faults.set_outage(true);
    world
        .eventually("watches are refused", async || refused.count() >= 3)
        .await;
    world.declare("during", json!({})).await;
    faults.set_outage(false);
    world.watch_for(Duration::from_secs(1)).await;
    faults.clear();
    world.until_ready("during").await;
    world.check().await;
}

#[tokio::test]
async fn s40_a_watch_that_has_fallen_silent_is_begun_anew() {
    let mut world = World::start().await;
    // It is given up 5 s after that.
    world.watch_timeout = Duration::from_secs(2);
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let faults = operator.faults.clone();
    let silenced = strike_from(
        &faults,
        1,
        Arc::new(|request: &RequestInfo| is_watch_of(request, &["oauthclients", "secrets"])),
        Fault::after(Effect::Watch(Twist::Silent)),
    );
    world
        .eventually("both watches are silent", async || silenced.count() >= 2)
        .await;
    world.declare("new", json!({})).await;
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    secrets.delete("web", &params).await.unwrap();
    world.watch_for(Duration::from_secs(2)).await;
    assert_eq!(world.creates("new"), [], "it was not silent");
    faults.clear();
    world.until_ready("new").await;
    let back = async || world.secret("web").await.is_some();
    world.eventually("the Secret is back", back).await;
    assert_eq!(world.until_ready("web").await, client_id);
    assert_eq!(world.creates("new").len(), 1);
    world.check().await;
}

#[tokio::test]
async fn s41_a_watch_that_stays_silent_makes_the_operator_unready_until_it_speaks() {
    let mut world = World::start().await;
    // Deaf 24 s after a watch last spoke, where it is 10 min otherwise.
    world.watch_timeout = Duration::from_secs(2);
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let admin_stop = CancellationToken::new();
    let (metrics, readiness) = (operator.metrics.clone(), operator.readiness.clone());
    let any = "127.0.0.1:0".parse().unwrap();
    let address = admin::serve(any, metrics, readiness, admin_stop.clone())
        .await
        .unwrap();
    let readyz = async || {
        let answer = reqwest::get(format!("http://{address}/readyz")).await;
        answer.unwrap().text().await.unwrap()
    };
    let ready = async || readyz().await.starts_with("ready");
    let deaf = async || readyz().await.contains("watches");
    world.eventually("ready", ready).await;
    // Each new one is answered, and nothing follows, not even its end: no error tells of it.
    let faults = operator.faults.clone();
    faults.add_rule(|request| {
        is_watch_of(request, &["oauthclients"]).then(|| Fault::after(Effect::Watch(Twist::Silent)))
    });
    world.eventually("not ready", deaf).await;
    let figures = operator.metrics.text();
    let silence = figures.lines().find_map(|line| {
        line.strip_prefix("provident_operator_watch_silence_seconds{resource=\"oauthclients\"} ")
    });
    assert!(silence.unwrap().parse::<f64>().unwrap() > 20.0, "{figures}");
    let alive = reqwest::get(format!("http://{address}/livez")).await;
    assert_eq!(alive.unwrap().status(), 200);

    faults.clear();
    world.eventually("ready again", ready).await;
    admin_stop.cancel();
    world.check().await;
}

#[tokio::test]
async fn s40_watches_that_are_reset_after_each_event_miss_nothing() {
    let world = World::start().await;
    let operator = world.start_operator_with(&twisted(Twist::Reset(1)));
    live(&world).await;
    operator.faults.clear();
    world.check().await;
}

#[tokio::test]
async fn s40_duplicates_and_older_states_after_newer_ones_do_no_harm() {
    let world = World::start().await;
    let operator = world.start_operator_with(&twisted(Twist::Repeated));
    live(&world).await;
    world.silence().await;
    operator.faults.clear();
    world.check().await;
}
