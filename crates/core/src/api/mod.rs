//! What the user writes and reads: the custom resources, their conditions and reasons. Pure: no I/O, no clock.
//!
//! The Rust types are the source; the files in `crds/` are printed from them ([`crds`], [`yaml`]), and a test holds
//! the two equal.

mod access;
mod adoption;
mod condition;
mod connection;
mod crd;
mod duration;
mod event_reason;
mod oauth_client;
mod reason;
mod rotation;
mod schema;
mod status;
mod validate;

pub use access::{AccessDenied, allows, allows_adoption, needs_labels};
pub use adoption::{AdoptionSpec, ClientSecretRef};
pub use condition::{ConditionStatus, ConditionType, find, remove, set};
pub use connection::{
    AccessRule, ClusterProvidentConnection, ClusterProvidentConnectionSpec, ConfigMapKeyRef,
    ConnectionAuth, ConnectionSpec, ConnectionStatus, DEFAULT_BASE_URL, ProvidentConnection,
    ProvidentConnectionSpec, SecretKeyRef, SecretRef, UnknownOutcomePolicy,
};
pub use crd::{APPLY_CRDS, crds, file_name, lacks, yaml};
pub use duration::{DurationError, parse_duration};
pub use event_reason::EventReason;
pub use oauth_client::{
    ConnectionKind, ConnectionRef, DEFAULT_STRING_DATA, DeletionPolicy, DriftPolicy, OAuthClient,
    OAuthClientSpec, SecretTemplate, TEMPLATE_VARIABLES,
};
pub use reason::Reason;
pub use rotation::{RestartTarget, RestartTargetKind, RotationSpec, RotationWindow};
pub use status::{
    AttemptOutcome, CreateAttempt, FieldsNotApplied, OAuthClientStatus, RotationRecord, stored_time,
};
pub use validate::{FieldError, validate};

/// The API group of all kinds.
pub const GROUP: &str = "oauth.provident.ae";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";
/// Field manager of our writes, reporter of our events, and the value of [`MANAGED_LABEL`].
pub const MANAGER: &str = "provident-operator";
/// Keeps an `OAuthClient` until its client at the vendor is dealt with as `deletionPolicy` says.
pub const FINALIZER: &str = "oauth.provident.ae/client";
/// Annotation: any new value asks for one rotation of the secret.
pub const ROTATE: &str = "oauth.provident.ae/rotate";
/// Annotation: any new value asks for a verification now instead of at the next interval.
pub const RECONCILE: &str = "oauth.provident.ae/reconcile";
/// Annotation: names the held attempt (`status.createAttempt.id`) that a person allows to be made once more.
pub const RETRY_CREATE: &str = "oauth.provident.ae/retry-create";
/// Annotation on the pod template of a workload to restart, before the uid of the `OAuthClient`: its
/// `status.secretRevision`.
pub const RESTART_PREFIX: &str = "oauth.provident.ae/secret-revision-";
/// Annotation on a generated Secret: the keyed hash that binds its clientId to this object.
pub const BINDING_ANNOTATION: &str = "oauth.provident.ae/binding";
/// Annotation on a Secret whose owner allows the `OAuthClient` that it names to take the Secret over (adoption in place).
pub const ALLOW_ADOPTION: &str = "oauth.provident.ae/allow-adoption";
/// Label on every generated Secret, with the value [`MANAGER`].
pub const MANAGED_LABEL: &str = "app.kubernetes.io/managed-by";
/// Annotation on a generated Secret: the clientId it carries, which [`BINDING_ANNOTATION`] binds.
pub const CLIENT_ID_ANNOTATION: &str = "oauth.provident.ae/client-id";
/// Annotation on a generated Secret: names of the keys, labels and annotations that `spec.secret` put there.
pub const MANAGED_ANNOTATION: &str = "oauth.provident.ae/managed";
