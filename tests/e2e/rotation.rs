//! Rotation of the secret: once per token, through crashes and lost answers, and never where it cannot be stored.

use std::time::Duration;

use harness::faults::{Effect, Fault as ApiFault, Moment};
use kube::api::DeleteParams;
use provident_core::api::{EventReason, OAuthClient, ROTATE, Reason};
use provident_emulator::{Answer, Fault, Operation, When};
use serde_json::json;

use crate::requests::sent;
use crate::settled::{these, writes};
use crate::world::{World, is_ready};

impl World {
    /// Asks for a rotation by annotation.
    pub async fn ask_for_rotation(&self, name: &str, token: &str) {
        let patch = json!({ "metadata": { "annotations": { ROTATE: token } } });
        self.patch(name, patch).await;
    }

    /// Waits until the rotation is acknowledged and the object Ready.
    pub async fn until_rotated(&self, name: &str, token: &str) -> OAuthClient {
        let done = |object: &OAuthClient| handled(object) == Some(token) && is_ready(object);
        let object = self.until(name, "rotated", done).await;
        let status = object.status.clone().unwrap();
        assert_eq!(status.rotation, None, "the record is closed");
        object
    }

    /// The vendor's and the Secret's client secret are one; it is returned.
    pub async fn credential(&self, name: &str) -> String {
        let client_id = self.get(name).await.status.unwrap().client_id.unwrap();
        let vendor = self.emulator.client(&client_id).unwrap().client_secret;
        let secret = self.secret(name).await.unwrap().data.unwrap();
        let held = String::from_utf8(secret["clientSecret"].0.clone()).unwrap();
        assert_eq!(held, vendor, "the Secret holds what the vendor takes");
        held
    }

    pub fn rotations(&self) -> usize {
        self.emulator.commits(Operation::Rotate)
    }
}

fn handled(object: &OAuthClient) -> Option<&str> {
    object.status.as_ref()?.last_handled_rotate.as_deref()
}

fn revision(object: &OAuthClient) -> Option<i64> {
    object.status.as_ref()?.secret_revision
}

#[tokio::test]
async fn s32_one_token_rotates_once_and_costs_three_calls_and_three_writes() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    let before = world.credential("web").await;
    let calls = world.emulator.calls().len();
    operator.faults.forget();
    world.ask_for_rotation("web", "1").await;
    let rotated = world.until_rotated("web", "1").await;
    assert_eq!(revision(&rotated), Some(2));
    assert!(rotated.status.unwrap().last_rotation_time.is_some());
    assert_ne!(world.credential("web").await, before);
    world
        .until_event_with(
            "web",
            EventReason::SecretRotated,
            &["Rotated the client secret", "revision 2"],
        )
        .await;
    world.silence().await;
    // GET the previous state, rotate, GET the new one; record, Secret, status.
    assert_eq!(
        world.operations_from(calls),
        [Operation::Get, Operation::Rotate, Operation::Get]
    );
    assert_eq!(
        writes(&operator.faults),
        these([("oauthclients/status", 2), ("secrets", 1)])
    );

    // Neither a restart nor the same value again asks again.
    operator.crash().await;
    let _operator = world.start_operator();
    world.ask_for_rotation("web", "1").await;
    world.verify_now("web").await;
    assert_eq!(world.rotations(), 1);
    world.ask_for_rotation("web", "2").await;
    world.until_rotated("web", "2").await;
    assert_eq!(world.rotations(), 2);
    world.check().await;
}

#[tokio::test]
async fn s30_what_is_known_not_to_be_rotated_is_asked_again_and_the_client_stays_ready() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    for (k, status) in [429, 400, 307].into_iter().enumerate() {
        let token = format!("t{k}");
        let refusal = Answer::new(When::BeforeCommit, status).header("Retry-After", "1");
        world
            .emulator
            .faults()
            .once(Operation::Rotate, Fault::Answer(refusal));
        world.ask_for_rotation("web", &token).await;
        world.until_rotated("web", &token).await;
        assert_eq!(world.rotations(), k + 1, "{status}");
    }
    world.check().await;
}

#[tokio::test]
async fn s31_the_body_of_a_rotation_is_not_looked_at() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    let bodies = [
        r#"{"clientSecret":"not-this-one"}"#,
        r#""not-this-one""#,
        "",
        "\u{0}garbage",
    ];
    for (k, body) in bodies.into_iter().enumerate() {
        let token = format!("t{k}");
        let answer = Answer::new(When::AfterCommit, 200).body(body);
        world
            .emulator
            .faults()
            .once(Operation::Rotate, Fault::Answer(answer));
        world.ask_for_rotation("web", &token).await;
        world.until_rotated("web", &token).await;
        assert_ne!(world.credential("web").await, "not-this-one");
        assert_eq!(world.rotations(), k + 1);
    }
    world.check().await;
}

#[tokio::test]
async fn s33_a_rotation_that_get_does_not_show_yet_is_waited_for_and_not_sent_again() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    world
        .emulator
        .faults()
        .once(Operation::Rotate, Fault::StaleReads(3));
    world.ask_for_rotation("web", "1").await;
    world.until_rotated("web", "1").await;
    world.credential("web").await;
    assert_eq!(world.emulator.count(Operation::Rotate), 1);
    world.check().await;
}

#[tokio::test]
async fn s33_a_rotation_without_effect_is_told_and_a_new_token_ends_it() {
    let mut world = World::start().await;
    world.attempt_wait = Duration::from_secs(1);
    let mut operator = world.start_operator();
    world.settled("web", json!({})).await;
    let nothing = Fault::answer(When::BeforeCommit, 200);
    world.emulator.faults().once(Operation::Rotate, nothing);
    world.ask_for_rotation("web", "1").await;
    let reported = world.until_told(
        "web",
        Reason::RotationNotApplied,
        &["rotation \"1\"", "oauth.provident.ae/rotate="],
    );
    reported.await;
    // What the vendor accepted is not asked again by another process either.
    operator.crash().await;
    operator = world.start_operator();
    world.verify_now("web").await;
    world.watch_for(world.attempt_wait * 2).await;
    assert_eq!(world.emulator.count(Operation::Rotate), 1);
    world.ask_for_rotation("web", "2").await;
    world.until_rotated("web", "2").await;
    assert_eq!(world.rotations(), 1);
    operator.crash().await;
    let _operator = world.start_operator();
    world.check().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_written_stops_a_rotation_before_the_vendor_is_asked() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    world.edit_secret("web", json!({ "immutable": true })).await;
    world.verify_now("web").await;
    world.ask_for_rotation("web", "1").await;
    let words = ["spec.secret.name", "immutable", "Delete it"];
    world
        .until_told("web", Reason::SecretImmutable, &words)
        .await;
    assert_eq!(world.emulator.count(Operation::Rotate), 0);
    let params = DeleteParams::default();
    world.secrets().delete("web", &params).await.unwrap();
    world.until_rotated("web", "1").await;

    let refusal = ApiFault {
        moment: Moment::Before,
        effect: Effect::Answer(403),
    };
    let tried = crate::requests::dry_run(&world);
    let such = tried.clone();
    operator
        .faults
        .add_rule(move |request| such(request).then(|| refusal.clone()));
    world.ask_for_rotation("web", "2").await;
    world
        .until_told("web", Reason::SecretWriteDenied, &["web", "403"])
        .await;
    assert_eq!(world.emulator.count(Operation::Rotate), 1);
    operator.faults.clear();
    world.until_rotated("web", "2").await;
    assert!(sent(&operator.faults, &tried) >= 1);
    world.check().await;
}

#[tokio::test]
async fn a_token_that_comes_with_a_declaration_is_acknowledged_and_not_obeyed() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let annotated = json!({ "annotations": { ROTATE: "old" } });
    world
        .declare_with("web", annotated.clone(), json!({}))
        .await;
    world.until_rotated("web", "old").await;
    world.silence().await;
    world.delete_without_vendor("web").await;
    world.declare_with("web", annotated, json!({})).await;
    world.until_rotated("web", "old").await;
    world.silence().await;
    assert_eq!(world.emulator.count(Operation::Rotate), 0);
    world.ask_for_rotation("web", "new").await;
    world.until_rotated("web", "new").await;
    assert_eq!(world.rotations(), 1);
    world.check().await;
}

#[tokio::test]
async fn a_deletion_does_not_wait_for_an_open_rotation() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let lost = Fault::Drop(When::BeforeCommit);
    world.emulator.faults().always(Operation::Rotate, lost);
    world.ask_for_rotation("web", "1").await;
    let open = |object: &OAuthClient| object.status.as_ref().unwrap().rotation.is_some();
    world.until("web", "open", open).await;
    world.delete("web").await;
    world.until_gone("web").await;
    assert!(!world.emulator.client(&client_id).unwrap().is_active);
    world.check().await;
}
