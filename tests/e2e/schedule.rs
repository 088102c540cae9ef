//! Rotation by schedule, and where the operator reports a secret that was replaced elsewhere.

use std::time::Duration;

use provident_core::api::{OAuthClient, Reason};
use provident_emulator::Operation;
use serde_json::{Value, json};

use crate::world::{World, is_ready};

impl World {
    /// Makes an object's last rotation so many minutes ago; a restart of the operator finds that.
    async fn rotated_ago(&self, name: &str, minutes: i64) {
        let then = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        let then = jiff::Timestamp::from_second(then.as_second()).unwrap();
        self.patch_status(name, json!({ "lastRotationTime": then }))
            .await;
    }
}

/// `schedule` and `duration` of a daily window in UTC that opens so many minutes from now.
fn window(opens_in: i64, minutes: u32) -> Value {
    let opens = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(opens_in);
    let opens = opens.to_zoned(jiff::tz::TimeZone::UTC);
    json!({
        "schedule": format!("{} {} * * *", opens.minute(), opens.hour()),
        "duration": format!("{minutes}m"),
    })
}

fn last(object: &OAuthClient) -> Option<jiff::Timestamp> {
    let status = object.status.as_ref()?;
    status.last_rotation_time.as_ref().map(|time| time.0)
}

fn next(object: &OAuthClient) -> Option<jiff::Timestamp> {
    let status = object.status.as_ref()?;
    status.next_rotation_time.as_ref().map(|time| time.0)
}

#[tokio::test]
async fn a_secret_older_than_its_interval_is_rotated_once_and_the_next_time_is_told() {
    let world = World::start().await;
    let operator = world.start_operator();
    for name in ["a", "b", "c"] {
        let spec = json!({ "rotation": { "interval": "2h" } });
        world.settled(name, spec).await;
        let object = world.get(name).await;
        let created = object.metadata.creation_timestamp.clone().unwrap().0;
        let two_hours = jiff::SignedDuration::from_hours(2);
        assert_eq!(next(&object), Some(created + two_hours));
    }
    operator.crash().await;
    for name in ["a", "b", "c"] {
        world.rotated_ago(name, 150).await;
    }
    let began = jiff::Timestamp::now();
    let _operator = world.start_operator();
    for name in ["a", "b", "c"] {
        let done = |object: &OAuthClient| {
            let second = jiff::SignedDuration::from_secs(1);
            last(object).is_some_and(|last| last >= began - second) && is_ready(object)
        };
        let object = world.until(name, "rotated by schedule", done).await;
        let two_hours = jiff::SignedDuration::from_hours(2);
        assert_eq!(next(&object), last(&object).map(|last| last + two_hours));
        assert_eq!(object.status.unwrap().last_handled_rotate, None);
        world.credential(name).await;
    }
    world.silence().await;
    assert_eq!(world.emulator.commits(Operation::Rotate), 3);
    world.check().await;
}

#[tokio::test]
async fn what_is_due_waits_for_its_window() {
    let world = World::start().await;
    let operator = world.start_operator();
    let closed = json!({ "rotation": { "interval": "1h", "window": window(180, 30) } });
    world.settled("closed", closed).await;
    let open = json!({ "rotation": { "interval": "1h", "window": window(-10, 120) } });
    world.settled("open", open).await;
    operator.crash().await;
    for name in ["closed", "open"] {
        world.rotated_ago(name, 90).await;
    }
    let _operator = world.start_operator();
    let rotated = |object: &OAuthClient| {
        object.status.as_ref().unwrap().secret_revision == Some(2) && is_ready(object)
    };
    world.until("open", "rotated in its window", rotated).await;
    world.verify_now("closed").await;
    world.silence().await;
    let object = world.get("closed").await;
    assert_eq!(object.status.as_ref().unwrap().secret_revision, Some(1));
    let waits = next(&object)
        .unwrap()
        .duration_since(jiff::Timestamp::now());
    assert!(
        waits > jiff::SignedDuration::from_mins(170)
            && waits <= jiff::SignedDuration::from_hours(3),
        "{waits:?}"
    );
    assert_eq!(world.emulator.commits(Operation::Rotate), 1);
    world.check().await;
}

#[tokio::test]
async fn what_the_schema_cannot_check_is_reported_at_once_and_can_be_corrected() {
    let world = World::start().await;
    let _operator = world.start_operator();
    // The schema bounds the template, not what it becomes with the longest secret.
    let template = "$(clientSecret)".repeat(400);
    let spec = json!({ "secret": { "stringData": { "large": template } } });
    world.declare("web", spec).await;
    world
        .until_told("web", Reason::InvalidObject, &["spec.secret"])
        .await;
    assert_eq!(world.creates("web"), [], "nothing is created meanwhile");
    let mended = json!({ "spec": { "secret": { "stringData": { "large": "$(clientSecret)" } } } });
    world.patch("web", mended).await;
    world.until_ready("web").await;
    world.check().await;
}

#[tokio::test]
async fn a_secret_replaced_at_the_vendor_reaches_the_application_with_the_next_verification() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    // Known by its version only, as after a restart.
    operator.crash().await;
    let _operator = world.start_operator();
    world.verify_now("web").await;
    world.drift(&client_id, |client| {
        client.client_secret = "replaced-by-hand-at-the-vendor".to_owned();
    });
    world.verify_now("web").await;
    world
        .eventually_within(Duration::from_secs(20), "the new secret", async || {
            let secret = world.secret("web").await.unwrap().data.unwrap();
            secret["clientSecret"].0 == b"replaced-by-hand-at-the-vendor"
        })
        .await;
    world.until_ready("web").await;
    assert_eq!(
        world.get("web").await.status.unwrap().secret_revision,
        Some(2)
    );
    assert_eq!(world.emulator.count(Operation::Rotate), 0);
    world.check().await;
}
