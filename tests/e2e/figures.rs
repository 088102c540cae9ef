//! The figures of an operator fit what happened to its clients, whoever reads them.

use kube::ResourceExt;
use kube::api::DeleteParams;
use provident_core::api::Reason;
use provident_emulator::{Fault, Operation, Rule, When};
use serde_json::json;

use crate::operator::Operator;
use crate::world::World;

impl Operator {
    /// The value of one series, named as `/metrics` shows it without the prefix; zero if it is not there.
    pub fn figure(&self, series: &str) -> f64 {
        let wanted = format!("provident_operator_{series} ");
        let text = self.metrics.text();
        let value = text.lines().find_map(|line| line.strip_prefix(&wanted));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Each series has just this value.
    fn shows(&self, expected: &[(&str, u32)]) {
        for (series, value) in expected {
            let found = self.figure(series);
            let as_expected = (found - f64::from(*value)).abs() < f64::EPSILON;
            assert!(
                as_expected,
                "{series} is {found}, not {value}:\n{}",
                self.metrics.text()
            );
        }
    }
}

#[tokio::test]
async fn figures_tell_of_a_create_a_repair_a_rotation_and_a_vendor_in_trouble() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    operator.shows(&[
        ("clients{reason=\"Available\"}", 1),
        (
            "connections{kind=\"ClusterProvidentConnection\",reason=\"Available\"}",
            1,
        ),
        ("creates_total{outcome=\"created\"}", 1),
        ("creates_total{outcome=\"unknown\"}", 0),
        ("client_ready_seconds_count", 1),
        (
            "vendor_requests_total{operation=\"create\",code=\"201\"}",
            1,
        ),
        ("vendor_request_seconds_count{operation=\"create\"}", 1),
        ("secret_repairs_total", 0),
        ("verification_overdue_seconds", 0),
        ("queue_depth{kind=\"OAuthClient\"}", 0),
        ("active_workers{kind=\"OAuthClient\"}", 0),
        (
            "api_server_requests_total{verb=\"update\",resource=\"secrets\",code=\"200\"}",
            0,
        ),
    ]);
    // The dry run, and the Secret.
    let series = "api_server_requests_total{verb=\"create\",resource=\"secrets\",code=\"201\"}";
    assert!(
        operator.figure(series) >= 2.0,
        "{}",
        operator.metrics.text()
    );

    let before = world.secret("web").await.unwrap();
    let (secrets, params) = (world.secrets(), DeleteParams::default());
    secrets.delete("web", &params).await.unwrap();
    let back = async || {
        let now = world.secret("web").await;
        now.is_some_and(|now| now.uid() != before.uid())
    };
    world.eventually("the Secret is back", back).await;
    world.silence().await;
    operator.shows(&[("secret_repairs_total", 1)]);

    world.ask_for_rotation("web", "once").await;
    world.until_rotated("web", "once").await;
    world.silence().await;
    operator.shows(&[
        ("rotations_total{outcome=\"accepted\"}", 1),
        ("rotations_total{outcome=\"done\"}", 1),
        // A new secret is no repair.
        ("secret_repairs_total", 1),
    ]);

    world.emulator.faults().add(Rule {
        operation: Operation::Get,
        client: Some(client_id),
        fault: Fault::answer(When::BeforeCommit, 503),
        count: None,
        every: None,
    });
    world.ask_for_verification("web").await;
    let errors = "reconcile_errors_total{kind=\"OAuthClient\",reason=\"VendorUnavailable\"}";
    let counted = async || operator.figure(errors) >= 1.0;
    world.eventually("the error is counted", counted).await;
    let answers = "vendor_requests_total{operation=\"get\",code=\"503\"}";
    assert!(operator.figure(answers) >= 1.0);
    let again = async || operator.figure("queue_retries_total{kind=\"OAuthClient\"}") >= 1.0;
    world.eventually("it comes back", again).await;
    world.emulator.faults().clear();
    world.verify_now("web").await;
    assert!(operator.figure("oldest_verification_seconds") < 30.0);
    world.check().await;
}

#[tokio::test]
async fn figures_tell_of_a_hold_and_of_what_is_told_of_a_connection() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    world.emulator.faults().add(Rule {
        operation: Operation::Create,
        client: Some(world.vendor_name("held")),
        fault: Fault::Drop(When::AfterCommit),
        count: Some(1),
        every: None,
    });
    world.declare("held", json!({})).await;
    world
        .until_reason("held", Reason::CreateOutcomeUnknown)
        .await;
    world.silence().await;
    operator.shows(&[
        ("holds_total{reason=\"CreateOutcomeUnknown\"}", 1),
        ("clients{reason=\"CreateOutcomeUnknown\"}", 1),
        ("creates_total{outcome=\"unknown\"}", 1),
        (
            "vendor_requests_total{operation=\"create\",code=\"no_answer\"}",
            1,
        ),
    ]);
    let reported = |reason: &str| {
        let kind = "ClusterProvidentConnection";
        operator.figure(&format!(
            "connections{{kind=\"{kind}\",reason=\"{reason}\"}}"
        ))
    };
    world.edit_connection(json!({ "suspend": true })).await;
    let suspended = async || reported("Suspended") > 0.0 && reported("Available") < 1.0;
    world
        .eventually("the connection is counted", suspended)
        .await;
    world.edit_connection(json!({ "suspend": false })).await;
    world.until_connection(Reason::Available).await;
    world.check_with(&[("held", 0)]).await;
}
