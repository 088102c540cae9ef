//! The status of an `OAuthClient`: what the operator records.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw and recorded. Written by the operator only.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OAuthClientStatus {
    /// The metadata.generation that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The clientId of the client at the vendor. `kubectl get oac -A --field-selector status.clientId=<id>` finds its
    /// owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// A keyed hash that proves that clientId was recorded by this operator for this object, and not written in by
    /// somebody else.
    #[serde(
        default,
        rename = "bindingMAC",
        skip_serializing_if = "Option::is_none"
    )]
    pub binding_mac: Option<String>,
    /// The Secret that holds the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// When the client's secret was last rotated by this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rotation_time: Option<Time>,
    /// When spec.rotation makes the next rotation due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_time: Option<Time>,
    /// The value of the annotation oauth.provident.ae/rotate that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
    /// The value of the annotation oauth.provident.ae/reconcile that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile: Option<String>,
    /// The one attempt to create the client; here only while its outcome is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempt: Option<Box<CreateAttempt>>,
    /// The one attempt to rotate the secret; here only while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Box<RotationRecord>>,
    /// The Secret's resourceVersion when it was last written or verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,
    /// Counts the changes of the Secret's content. Workloads in spec.rolloutRestartTargets are restarted when it grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_revision: Option<i64>,
    /// A keyed hash of the Secret's content of that revision. It tells whether the content has changed, and nothing about
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<String>,
    /// Fields that the vendor accepted in an update of the observed generation but did not apply. They are not sent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields_not_applied: Vec<String>,
    /// Ready (the summary), Synced (the vendor's client equals the spec), `SecretReady`, and Stalled, which is there only
    /// while a person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The claim that stands in status before the create is sent, so that it is sent at most once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CreateAttempt {
    /// A random name of this attempt, for the annotation oauth.provident.ae/retry-create.
    pub id: String,
    /// When the attempt was claimed.
    pub start_time: Time,
    /// The attempt whose outcome stayed unknown and that a person allowed to be made once more by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// Why the outcome is unknown; set once the attempt is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
}

/// Why the outcome of a create attempt is unknown.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The vendor did not answer, or its answer does not show the outcome.
    NoAnswer,
    /// The vendor returned a client that existed before.
    ExistingClientReturned,
}

/// The record that stands in status before a rotation is sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationRecord {
    /// What asked for it: the annotation's value, or the due time of the schedule.
    pub token: String,
    /// A keyed hash of the client's secret before the rotation. It tells whether the vendor has rotated, and nothing
    /// about the secret.
    pub previous_secret_hash: String,
    /// When the rotation was last claimed.
    pub start_time: Time,
    /// Whether spec.rotation asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
    /// Whether the vendor has said that it rotated: then it is not asked again for this token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// Whether the vendor accepted it but still returns the previous secret after a long wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_applied: bool,
}

/// A time as status stores it, in whole seconds, so that a record in memory equals the one that is read back.
#[must_use]
pub fn stored_time(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
