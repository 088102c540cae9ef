//! `OAuthClient`: one OAuth 2.0 client at the vendor and the Secret that carries its credentials.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{
    AdoptionSpec, ConditionType, OAuthClientStatus, RestartTarget, RotationSpec, condition, schema,
};
use crate::binding::hex;

/// What a Secret holds when `spec.secret.stringData` says nothing else: key and template.
pub const DEFAULT_STRING_DATA: [(&str, &str); 3] = [
    ("clientId", "$(clientId)"),
    ("clientSecret", "$(clientSecret)"),
    ("tokenUrl", "$(tokenUrl)"),
];

/// What `spec.secret.stringData` may refer to: a value as it is, and the same as a JSON string with its quotes.
pub const TEMPLATE_VARIABLES: [[&str; 2]; 3] = [
    ["$(clientId)", "$(clientId:json)"],
    ["$(clientSecret)", "$(clientSecret:json)"],
    ["$(tokenUrl)", "$(tokenUrl:json)"],
];

/// The longest default of `spec.name`. Longer ones are cut and end in a hash, as Kubernetes does with generated names.
const MAX_DEFAULT_NAME: usize = 63;

/// The client as it is wanted, and how this cluster keeps it.
///
/// The fields down to isActive are the client's own, named as the vendor's API names them. One that is left out is
/// neither sent nor compared; on create the vendor's own default holds.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oauth.provident.ae",
    version = "v1alpha1",
    kind = "OAuthClient",
    namespaced,
    status = "OAuthClientStatus",
    derive = "PartialEq",
    shortname = "oac",
    category = "provident",
    validation = Rule::new(schema::SECRET_NAME_STAYS)
        .message("is immutable; to move the credentials to another Secret, delete this OAuthClient with deletionPolicy: Retain and recreate it")
        .field_path(".spec.secret.name")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new(schema::CONNECTION_STAYS)
        .message("is immutable once the client exists: it lives in the account that made it")
        .field_path(".spec.connectionRef")
        .reason(Reason::FieldValueForbidden),
    doc = "An OAuth 2.0 client at the Provident API. The operator creates it, keeps it as declared, and keeps its credentials in a Secret of this namespace.",
    selectable = ".spec.connectionRef.name",
    selectable = ".spec.connectionRef.kind",
    selectable = ".status.clientId",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName"),
    printcolumn(name = "Client-ID", type_ = "string", json_path = ".status.clientId"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Connection",
        type_ = "string",
        json_path = ".spec.connectionRef.name",
        priority = 1
    ),
    printcolumn(
        name = "Rotated",
        type_ = "date",
        json_path = ".status.lastRotationTime",
        priority = 1
    ),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[x_kube(validation = Rule::new(schema::RESTRICTION_HAS_ADDRESSES)
    .message("ipRestriction: true needs at least one entry in allowedIps")
    .field_path(".allowedIps"))]
#[serde(rename_all = "camelCase")]
pub struct OAuthClientSpec {
    /// The client's display name at the vendor. Default on create: `<namespace>.<name>`, which is unique in the cluster because
    /// a namespace has no dot; above 63 characters it is cut and ends in a hash of both names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new(schema::IS_PLAIN_TEXT).message("must be plain text: no control, format or bidirectional characters, and no white space at its ends"))]
    pub name: Option<String>,
    /// The URIs to which the vendor may redirect a user after login. Each is an https URI, an http URI of a loopback address, or
    /// a native app's private-use URI such as `com.example.app:/callback`. Default on create: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::redirect_uris")]
    pub redirect_uris: Option<Vec<String>>,
    /// The scopes that the client may request. The connection's access rules must allow each.
    #[schemars(schema_with = "schema::scopes")]
    pub allowed_scopes: Vec<String>,
    /// The lifetime of an access token in seconds; 0 means that it never expires. The vendor's default is 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [0, 3600, 10800, 21600, 43200, 86400]))]
    pub token_lifetime_seconds: Option<i32>,
    /// The number of requests that the vendor allows per window; 0 means unlimited. The vendor's default is 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub rate_limit_count: Option<i32>,
    /// The length of that window in seconds. The vendor's default is 43200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub rate_limit_window_seconds: Option<i32>,
    /// If true, the vendor accepts requests from allowedIps only, which must then have an entry. The vendor's default is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_restriction: Option<bool>,
    /// The IP addresses and CIDRs from which the client may be used while ipRestriction is true. The vendor's default is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::allowed_ips")]
    pub allowed_ips: Option<Vec<String>>,
    /// If false, the client is disabled at the vendor. A new client is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,

    /// The connection to the vendor. It cannot be changed once the client exists, because the client belongs to that account.
    #[serde(default)]
    pub connection_ref: ConnectionRef,
    /// The Secret that holds the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Box<SecretTemplate>>,
    /// When the client's secret is replaced. The annotation oauth.provident.ae/rotate requests a rotation at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Box<RotationSpec>>,
    /// Workloads of this namespace to restart, in this order, when the Secret's content changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub rollout_restart_targets: Option<Vec<RestartTarget>>,
    /// An existing client to adopt instead of creating one. It is read only while status has no client, and the connection must
    /// allow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Box<AdoptionSpec>>,
    /// How often the client at the vendor is compared with this spec, 1m or more.
    #[serde(default = "default_refresh_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(schema::IS_DURATION_OF_1M).message("must be hours, minutes and seconds, 1m or more, e.g. 1h30m"))]
    pub refresh_interval: String,
    /// What to do when the client at the vendor differs from this spec. Correct: change it to what the spec states.
    /// Report: list the differences in the condition Synced and change nothing.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What happens to the client at the vendor when this object is deleted. Deactivate: it is disabled, because the vendor
    /// cannot delete clients. Retain: the client and its Secret stay as they are. It can be changed while the object is
    /// terminating.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// If true, the operator makes no call to the vendor and does not write the Secret. Deletion still works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// Names the connection to the vendor.
#[derive(
    KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRef {
    /// `ClusterProvidentConnection`, or `ProvidentConnection` for one in this namespace.
    pub kind: ConnectionKind,
    /// The connection's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
}

impl Default for ConnectionRef {
    fn default() -> Self {
        Self {
            kind: ConnectionKind::default(),
            name: "default".to_owned(),
        }
    }
}

/// The kinds of connection.
#[derive(
    JsonSchema,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    IntoStaticStr,
)]
pub enum ConnectionKind {
    /// One of the object's own namespace.
    ProvidentConnection,
    /// One of the cluster, shared by the namespaces that its access rules name.
    #[default]
    ClusterProvidentConnection,
}

/// The Secret as it is written.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// The Secret's name. Default: the name of this object. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: Option<String>,
    /// Labels to set on the Secret. Those that others set are left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::secret_labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set on the Secret. Those that others set are left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::secret_annotations")]
    pub annotations: BTreeMap<String, String>,
    /// The complete content of the Secret, by key. `$(clientId)`, `$(clientSecret)` and `$(tokenUrl)` are replaced;
    /// `$(clientSecret:json)` is the value as a JSON string with its quotes, which is valid in JSON and YAML whatever the value
    /// contains; `$$(` is a literal `$(`. Default: the keys clientId, clientSecret and tokenUrl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::string_data")]
    pub string_data: Option<BTreeMap<String, String>>,
}

/// What to do about differences at the vendor.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriftPolicy {
    /// Change the vendor's client to what the spec states.
    #[default]
    Correct,
    /// Name the differences in the condition Synced and change nothing.
    Report,
}

/// What becomes of the vendor's client in the end.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Disable it at the vendor, which has no delete.
    #[default]
    Deactivate,
    /// Leave it and its Secret as they are.
    Retain,
}

impl ConnectionKind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl OAuthClient {
    /// The name of the Secret: `spec.secret.name`, or the object's own.
    #[must_use]
    pub fn secret_name(&self) -> &str {
        let stated = self
            .spec
            .secret
            .as_ref()
            .and_then(|secret| secret.name.as_deref());
        stated.or(self.metadata.name.as_deref()).unwrap_or_default()
    }

    /// The name that the client gets at the vendor on create: `spec.name`, or `<namespace>.<name>`, so that a person
    /// finds it there. A namespace has no dot, so no two objects share a default.
    #[must_use]
    pub fn vendor_name(&self) -> String {
        if let Some(stated) = &self.spec.name {
            return stated.clone();
        }
        let full = format!(
            "{}.{}",
            self.namespace().unwrap_or_default(),
            self.name_any()
        );
        if full.len() <= MAX_DEFAULT_NAME {
            return full;
        }
        let hash = digest(&SHA256, full.as_bytes());
        let suffix: String = hex(hash.as_ref()).chars().take(10).collect();
        let kept = full
            .get(..MAX_DEFAULT_NAME - suffix.len() - 1)
            .unwrap_or_default();
        format!("{kept}-{suffix}")
    }

    /// The condition of one type, if status has it.
    #[must_use]
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        condition::find(&self.status.as_ref()?.conditions, type_)
    }
}

fn default_refresh_interval() -> String {
    "1h".to_owned()
}
