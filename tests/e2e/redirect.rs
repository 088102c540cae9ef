//! Redirects, and connections that close under a create.

use harness::faults::{Effect, Fault};
use provident_core::api::Reason;
use provident_emulator::{Answer, Emulator, Fault as VendorFault, Operation, Options, When};
use serde_json::json;
use tokio::sync::mpsc;

use crate::more::reason;
use crate::requests::{status_write, strike_nth};
use crate::world::{World, is_ready};

#[tokio::test]
async fn s15_a_redirect_is_not_followed_and_makes_nothing() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let elsewhere = Emulator::start(Options::default()).await.unwrap();
    let here = format!("{}/moved", world.emulator.base_url());
    let there = format!("{}/oauth2/clients", elsewhere.base_url());
    for (name, status, location) in [
        ("same-307", 307, &here),
        ("same-308", 308, &here),
        ("other-307", 307, &there),
        ("other-308", 308, &there),
    ] {
        let redirect = Answer::new(When::BeforeCommit, status).header("Location", location);
        let fault = VendorFault::Answer(redirect);
        world.emulator.faults().once(Operation::Create, fault);
        world.declare(name, json!({})).await;
        let words = [&*status.to_string(), "spec.baseUrl"];
        world
            .until_event_with(name, Reason::ConnectionNotReady, &words)
            .await;
        // Known not to have made anything, so it is tried again by itself.
        world.until_ready(name).await;
        let committed: Vec<_> = world
            .creates(name)
            .iter()
            .map(|call| call.committed)
            .collect();
        assert_eq!(committed, [false, true], "{name}");
    }
    assert_eq!(
        world.emulator.count(Operation::Undocumented),
        0,
        "a redirect was followed"
    );
    assert_eq!(elsewhere.calls(), [], "the token went to another host");
    world.check().await;
}

#[tokio::test]
async fn s16_a_pooled_connection_closed_under_a_create_makes_at_most_one_client() {
    let world = World::start().await;
    let operator = world.start_operator();
    // Leaves an idle connection in the pool.
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    let (claimed, mut claims) = mpsc::unbounded_channel();
    for index in 0..20 {
        let name = format!("web-{index}");
        // The claim's answer is what the create follows upon.
        let claimed = claimed.clone();
        let tell = Effect::run(move |_| {
            let _ = claimed.send(());
            std::future::ready(())
        });
        operator.faults.clear();
        let claim = status_write(&world, &name);
        strike_nth(&operator.faults, 1, claim, Fault::after(tell));
        world.declare(&name, json!({})).await;
        claims.recv().await.unwrap();
        world.emulator.close_connections();
        world
            .until(&name, "ready, or held for a person", |object| {
                is_ready(object) || reason(object) == Reason::CreateOutcomeUnknown.as_str()
            })
            .await;
        let asked = world.creates(&name).len();
        assert!(asked <= 1, "{name}: a create was repeated");
    }
    world.check().await;
}
