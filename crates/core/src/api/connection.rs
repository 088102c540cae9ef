//! The two kinds of connection: where the vendor's API is, with which token, and who may use it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// The vendor's own address.
pub const DEFAULT_BASE_URL: &str = "https://api.provident.ae/v2";

/// An account of one namespace, for that namespace.
#[allow(
    clippy::duplicated_attributes,
    reason = "columns of one type repeat it"
)]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oauth.provident.ae",
    version = "v1alpha1",
    kind = "ProvidentConnection",
    namespaced,
    status = "ConnectionStatus",
    derive = "PartialEq",
    shortname = "pcn",
    category = "provident",
    doc = "An account at the Provident API for the OAuth clients of this namespace. Its token lives in this namespace too.",
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
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.baseUrl"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProvidentConnectionSpec {
    /// What both kinds have.
    #[serde(flatten)]
    pub connection: ConnectionSpec,
}

/// An account of the cluster, and who may use it.
#[allow(
    clippy::duplicated_attributes,
    reason = "columns of one type repeat it"
)]
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "oauth.provident.ae",
    version = "v1alpha1",
    kind = "ClusterProvidentConnection",
    status = "ConnectionStatus",
    derive = "PartialEq",
    shortname = "cpcn",
    category = "provident",
    doc = "An account at the Provident API, and the namespaces that may have OAuth clients in it. Its token lives in the operator's own namespace.",
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
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.baseUrl"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProvidentConnectionSpec {
    /// What both kinds have.
    #[serde(flatten)]
    pub connection: ConnectionSpec,
    /// Which namespaces may use this connection, and for which scopes. Without a rule, no namespace may. A scope is allowed if
    /// any rule that matches the namespace has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub access: Vec<AccessRule>,
}

/// What both kinds of connection have: the account.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSpec {
    /// The address of the vendor's API, without a slash at its end. The host must be on the operator's allow list
    /// (--allowed-host), with http:// written there if it is not https.
    #[serde(default = "default_base_url")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = Rule::new(schema::IS_BASE_URL).message("must be http(s)://host[:port][/path], without a user, a query, a fragment or a slash at its end"))]
    pub base_url: String,
    /// The operator's credentials: a token, or client credentials with which it requests tokens.
    pub auth: ConnectionAuth,
    /// Additional certificate authorities that are trusted for this connection, as PEM in a `ConfigMap`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_config_map_ref: Option<ConfigMapKeyRef>,
    /// The most requests per second that the operator sends to the vendor over this connection. It sends fewer while the
    /// vendor answers 429.
    #[serde(default = "default_requests_per_second")]
    #[schemars(range(min = 1, max = 1000))]
    pub requests_per_second: i32,
    /// What to do when the outcome of a create stays unknown. Hold: wait for a person. Retry: after two minutes, and once the
    /// vendor answers again, create the client once more, which may leave the first one orphaned at the vendor. If that outcome
    /// is unknown too, wait for a person.
    #[serde(default)]
    pub unknown_outcome_policy: UnknownOutcomePolicy,
    /// If true, the operator makes no call to the vendor over this connection. Deletions wait; pending results are still saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
}

/// What to do about a create whose outcome stays unknown.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownOutcomePolicy {
    /// A person decides.
    #[default]
    Hold,
    /// It is made once more, which may leave an orphan; then a person decides.
    Retry,
}

/// The credentials of a connection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new(schema::ONE_CREDENTIAL)
    .message("needs exactly one of tokenSecretRef and clientCredentialsSecretRef"))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionAuth {
    /// A bearer token in a Secret: of the operator's own namespace for a `ClusterProvidentConnection`, of its own namespace
    /// for a `ProvidentConnection`. Surrounding white space is ignored. A change is used at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKeyRef>,
    /// Client credentials in a Secret of the same namespace, under the keys clientId and clientSecret. The operator uses them to
    /// request tokens at baseUrl + /oauth2/token (RFC 6749 section 4.4) and renews these before they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_credentials_secret_ref: Option<SecretRef>,
}

/// A Secret with known keys.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
}

/// One key of a `ConfigMap`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// The `ConfigMap`'s name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
    /// The key in it.
    #[serde(default = "default_ca_key")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_KEY).message(schema::KEY_MESSAGE))]
    pub key: String,
}

/// One key of a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_NAME).message(schema::NAME_MESSAGE))]
    pub name: String,
    /// The key in it.
    #[serde(default = "default_token_key")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new(schema::IS_KEY).message(schema::KEY_MESSAGE))]
    pub key: String,
}

/// Lets some namespaces use the connection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[x_kube(validation = Rule::new(schema::ONE_SELECTOR)
    .message("needs exactly one of namespaces and namespaceSelector"))]
#[serde(rename_all = "camelCase")]
pub struct AccessRule {
    /// The namespaces, by name. Either this or namespaceSelector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespaces: Vec<String>,
    /// The namespaces, by their labels; {} selects every namespace. Whoever may label namespaces thereby grants access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub namespace_selector: Option<LabelSelector>,
    /// The scopes that a client of these namespaces may have. "*" means every scope.
    #[schemars(schema_with = "schema::scopes")]
    pub scopes: Vec<String>,
    /// If true, these namespaces may adopt existing clients of the account (spec.adoption).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_adoption: bool,
}

/// The observed state of a connection. Written by the operator only.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The metadata.generation that this status describes; -1 until the operator has seen the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A hash of the spec and the credentials with which the vendor last returned a client of this operator. The operator trusts
    /// a 404 for a client only while this hash is current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_account_hash: Option<String>,
    /// A hash of the base URL and the credentials that the vendor last accepted, so that a restart does not check them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_credential_hash: Option<String>,
    /// Since when the vendor has not answered, or has rejected the credentials; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// When the token that the operator requested with its client credentials expires; it is renewed before. Absent for a token
    /// from a Secret, whose expiration is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expiration_time: Option<Time>,
    /// The installation that manages this connection, by namespace and name of its binding key's Secret. Other installations
    /// leave the connection alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Ready: the vendor accepts the credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

fn default_base_url() -> String {
    DEFAULT_BASE_URL.to_owned()
}

fn default_requests_per_second() -> i32 {
    10
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

fn default_token_key() -> String {
    "token".to_owned()
}
