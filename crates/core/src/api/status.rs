//! The status of an `OAuthClient`: what the operator records.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observed state of the client and its Secret. Written by the operator only.
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
    /// A keyed hash that proves that this operator recorded clientId for this object.
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
    /// The last value of the annotation oauth.provident.ae/rotate that the operator has handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate: Option<String>,
    /// The last value of the annotation oauth.provident.ae/reconcile that the operator has handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile: Option<String>,
    /// The attempt to create the client; present only while its outcome is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_attempt: Option<Box<CreateAttempt>>,
    /// The rotation that is in progress; present only while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Box<RotationRecord>>,
    /// The Secret's resourceVersion when it was last written or verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_resource_version: Option<String>,
    /// Counts the changes of the Secret's content. Workloads in spec.rolloutRestartTargets are restarted when it grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_revision: Option<i64>,
    /// A keyed hash of the Secret's content at that revision. It shows whether the content has changed and reveals nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_hash: Option<String>,
    /// The metadata.generation that the vendor rejected. The same request is not sent again until the spec changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_generation: Option<i64>,
    /// The fields that the vendor accepted in an update and did not apply. They are not sent again until the spec changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields_not_applied: Option<Box<FieldsNotApplied>>,
    /// Ready (the summary), Synced (the vendor's client equals the spec), `SecretReady`, and Stalled, which is present only while
    /// a person must act.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The record that is written before the create is sent, so that it is sent at most once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CreateAttempt {
    /// A random identifier of this attempt, for the annotation oauth.provident.ae/retry-create.
    pub id: String,
    /// When the attempt started.
    pub start_time: Time,
    /// The attempt with an unknown outcome that this one retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// Why the outcome is unknown. Absent while the attempt is in progress, and when the operator stopped before it had an
    /// answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<AttemptOutcome>,
}

/// Why the outcome of a create is unknown.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// There was no answer, or one that does not say whether the client was created.
    NoAnswer,
    /// The vendor returned a client that existed before.
    ExistingClientReturned,
}

/// Fields of an update without effect. They carry their own generation, because observedGeneration also advances in a
/// reconcile that sends nothing, such as one of a suspended object.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FieldsNotApplied {
    /// The metadata.generation of the spec that was sent. For any other generation this record means nothing.
    pub generation: i64,
    /// The names of the fields, as in spec.
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub fields: Vec<String>,
}

/// The record that is written before a rotation is sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationRecord {
    /// What requested it: the value of the annotation, or the due time of the schedule.
    pub token: String,
    /// A keyed hash of the client's secret before the rotation. It shows whether the vendor has rotated and reveals nothing else.
    pub previous_secret_hash: String,
    /// When the rotation last started.
    pub start_time: Time,
    /// Whether spec.rotation requested it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
    /// Whether the vendor has confirmed the rotation. Then it is not requested again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// Whether the vendor still returned the former secret long after it had accepted the rotation. Then this rotation is not
    /// requested again; a new value of the annotation requests another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_applied: bool,
}

/// A time as status stores it, in whole seconds, so that a record in memory equals the one that is read back.
#[must_use]
pub fn stored_time(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
