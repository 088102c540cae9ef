//! A crash before and after every request of a create, an update and a deletion.

use futures::{StreamExt, stream};
use harness::faults::{Effect, Fault, Faults, Moment};
use provident_core::api::Reason;
use provident_emulator::Operation;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::Notify;

use crate::operator::Operator;
use crate::world::{World, is_ready, is_stalled, ready};

/// Worlds at once; more only makes them wait for each other.
const AT_ONCE: usize = 4;

/// A life up to the part under test, that part, and its end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Create,
    Update,
    Delete,
}

impl Part {
    /// The requests to the API server that it cannot do without.
    const fn requests(self) -> u64 {
        match self {
            // Dry run, finalizer, claim, Secret, status.
            Self::Create => 5,
            // Read the object, status.
            Self::Update => 2,
            // Finalizer.
            Self::Delete => 1,
        }
    }
}

#[tokio::test]
async fn s05_a_crash_around_every_request_of_a_create_ends_ready_or_held() {
    around_every_request(Part::Create).await;
}

#[tokio::test]
async fn s05_a_crash_around_every_request_of_an_update_ends_ready() {
    around_every_request(Part::Update).await;
}

#[tokio::test]
async fn s05_a_crash_around_every_request_of_a_deletion_ends_gone_and_deactivated() {
    around_every_request(Part::Delete).await;
}

async fn around_every_request(part: Part) {
    let requests = requests_without_faults(part).await;
    assert!(
        requests >= part.requests(),
        "{part:?} makes {requests} requests"
    );
    let cases = (1..=requests).flat_map(|k| [(k, Moment::Before), (k, Moment::After)]);
    stream::iter(cases)
        .for_each_concurrent(AT_ONCE, |(k, moment)| crash_at(part, k, moment))
        .await;
}

async fn requests_without_faults(part: Part) -> u64 {
    let world = World::start().await;
    let operator = prepare(&world, part).await;
    operator.faults.forget();
    begin(&world, part).await;
    end(&world, part).await;
    world.silence().await;
    let requests = operator
        .faults
        .count(|record| !record.request.is_background());
    world.check().await;
    requests.try_into().unwrap()
}

async fn crash_at(part: Part, k: u64, moment: Moment) {
    let world = World::start().await;
    let operator = prepare(&world, part).await;
    let reached = Arc::new(Notify::new());
    let tell = Arc::clone(&reached);
    let effect = Effect::run(move |_| {
        let tell = Arc::clone(&tell);
        async move {
            tell.notify_one();
            std::future::pending::<()>().await;
        }
    });
    operator.faults.on_request(k, Fault { moment, effect });
    begin(&world, part).await;
    // Whether the watch has delivered something decides about one read more or less, so the last ones may not come.
    let ended = async {
        end(&world, part).await;
        world.silence().await;
    };
    tokio::select! {
        () = reached.notified() => operator.crash().await,
        () = ended => {
            assert!(k > part.requests(), "{part:?} ended before its request {k}");
            return world.check().await;
        }
    }

    let _operator = world.start_operator_with(&Faults::new());
    end(&world, part).await;
    world.check().await;
}

/// A settled world: what comes next is the part's own doing.
async fn prepare(world: &World, part: Part) -> Operator {
    let operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    if part != Part::Create {
        world.declare("storefront", json!({})).await;
        world.until_ready("storefront").await;
    }
    world.silence().await;
    operator
}

async fn begin(world: &World, part: Part) {
    match part {
        Part::Create => {
            world.declare("storefront", json!({})).await;
        }
        Part::Update => {
            let spec = json!({ "redirectUris": ["https://shop.example.com/auth/callback"] });
            world.patch("storefront", json!({ "spec": spec })).await;
        }
        Part::Delete => world.delete("storefront").await,
    }
}

async fn end(world: &World, part: Part) {
    match part {
        Part::Create => {
            let held = |object: &_| {
                is_stalled(object)
                    && ready(object)
                        .is_some_and(|ready| ready.reason == Reason::CreateOutcomeUnknown.as_str())
            };
            world
                .until("storefront", "Ready or held", |object| {
                    is_ready(object) || held(object)
                })
                .await;
        }
        Part::Update => {
            world.until_ready("storefront").await;
            let updates = world.emulator.commits(Operation::Update);
            // Lost answers may repeat it; a PUT of the same value is harmless.
            assert!((1..=2).contains(&updates), "{updates} updates");
        }
        Part::Delete => {
            world.until_gone("storefront").await;
            let made = world.creates("storefront");
            let client = world.emulator.client(made[0].client_id.as_ref().unwrap());
            assert!(!client.unwrap().is_active, "deactivated");
        }
    }
}
