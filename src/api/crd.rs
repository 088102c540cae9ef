//! The CustomResourceDefinitions, as the API server gets them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};

use super::{ClusterProvidentConnection, OAuthClient};

/// The definitions of all kinds, in the order of their names.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![ClusterProvidentConnection::crd(), OAuthClient::crd()]
}

/// The file in `crds/` that holds one definition: `<plural>.<group>.yaml`.
#[must_use]
pub fn file_name(crd: &CustomResourceDefinition) -> String {
    format!("{}.yaml", crd.name_any())
}

/// One definition as YAML, ending in a newline.
///
/// # Errors
/// What the serializer says.
pub fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(crd)
}
