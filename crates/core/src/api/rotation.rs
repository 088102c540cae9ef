//! When the secret is replaced, and who is restarted then.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// When the secret is replaced.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationSpec {
    /// The age at which a secret is due to be replaced, 1h or more: 30 days are 720h. Counted from the last rotation,
    /// before the first one from the creation of this object.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(schema::IS_DURATION_OF_1H).message("must be hours, minutes and seconds, 1h or more: 30 days are 720h"))]
    pub interval: String,
    /// What is due waits for this window. Without it, a rotation happens when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RotationWindow>,
}

/// A time of day or week in which rotations may happen.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationWindow {
    /// When the window opens, as a cron expression of five fields: "0 2 * * 0" is Sunday at 2.
    #[schemars(length(min = 9, max = 64))]
    #[x_kube(validation = Rule::new(schema::IS_CRON).message("must be a cron expression of five fields, e.g. \"0 2 * * 0\" for Sunday at 2"))]
    pub schedule: String,
    /// How long it stays open.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(schema::IS_DURATION).message("must be hours, minutes and seconds, e.g. 2h30m"))]
    pub duration: String,
    /// The time zone of the schedule, by its IANA name. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(schema::IS_TIME_ZONE).message("must be a name of the IANA time zone database, e.g. Asia/Dubai"))]
    pub time_zone: Option<String>,
}

/// A workload of this namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestartTarget {
    /// The kind of the workload.
    pub kind: RestartTargetKind,
    /// The name of the workload.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
}

/// The kinds of workload that can be restarted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartTargetKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 `StatefulSet`.
    StatefulSet,
    /// apps/v1 `DaemonSet`.
    DaemonSet,
}

impl RestartTargetKind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}
