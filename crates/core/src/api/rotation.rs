//! When the secret is replaced, and who is restarted then.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::schema;

/// When the secret is replaced.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationSpec {
    /// The age at which a secret is replaced, 1h or more: 30 days are 720h. It is counted from the last rotation, or from the
    /// creation of this object if there was none.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(schema::IS_DURATION_OF_1H).message("must be hours, minutes and seconds, 1h or more: 30 days are 720h"))]
    pub interval: String,
    /// The maintenance window in which due rotations start. Without it, a rotation starts as soon as it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<RotationWindow>,
}

/// A time of day or week in which rotations may happen.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationWindow {
    /// When the window opens, as a cron expression of five fields (minute, hour, day of month, month, day of week): "0 2 * * 0"
    /// is Sunday at 2.
    #[schemars(schema_with = "schema::cron")]
    pub schedule: String,
    /// How long the window stays open, 1m or more.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(schema::IS_DURATION_OF_1M).message("must be hours, minutes and seconds, 1m or more, e.g. 2h30m"))]
    pub duration: String,
    /// The IANA name of the time zone of the schedule, such as Asia/Dubai. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new(schema::IS_TIME_ZONE).message("must be a name of the IANA time zone database, e.g. Asia/Dubai, and no offset"))]
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
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
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
        self.into()
    }
}
