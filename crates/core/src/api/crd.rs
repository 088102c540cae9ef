//! The `CustomResourceDefinition`s, as the API server gets them.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSON, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, ResourceExt};
use serde_json::{Value, json};

use super::{ClusterProvidentConnection, OAuthClient, ProvidentConnection};

/// The definitions of all kinds, in the order of their names.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        ClusterProvidentConnection::crd(),
        OAuthClient::crd(),
        ProvidentConnection::crd(),
    ]
    .map(finish)
    .into()
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

/// What `installed` lacks of what `wanted` says: its version, or paths of fields such as `status.rotation.scheduled`. A
/// newer definition lacks nothing; what it has more does not matter.
#[must_use]
pub fn lacks(
    installed: &CustomResourceDefinition,
    wanted: &CustomResourceDefinition,
) -> Vec<String> {
    let mut lacking = Vec::new();
    for version in &wanted.spec.versions {
        let same = |other: &&CustomResourceDefinitionVersion| other.name == version.name;
        match installed.spec.versions.iter().find(same) {
            Some(other) if other.served => {
                if let (Some(has), Some(wants)) = (schema(other), schema(version)) {
                    lacks_fields(has, wants, "", &mut lacking);
                }
            }
            _ => lacking.push(format!("version {}", version.name)),
        }
    }
    lacking
}

// A value as a person writes it in YAML.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn schema(version: &CustomResourceDefinitionVersion) -> Option<&JSONSchemaProps> {
    version.schema.as_ref()?.open_api_v3_schema.as_ref()
}

fn lacks_fields(
    has: &JSONSchemaProps,
    wants: &JSONSchemaProps,
    path: &str,
    lacking: &mut Vec<String>,
) {
    for (name, wanted) in wants.properties.iter().flatten() {
        let path = format!("{path}{name}");
        match has.properties.as_ref().and_then(|fields| fields.get(name)) {
            Some(field) => lacks_fields(field, wanted, &format!("{path}."), lacking),
            None if has.x_kubernetes_preserve_unknown_fields == Some(true) => {}
            None => lacking.push(path),
        }
    }
    if let (
        Some(JSONSchemaPropsOrArray::Schema(has)),
        Some(JSONSchemaPropsOrArray::Schema(wants)),
    ) = (&has.items, &wants.items)
    {
        lacks_fields(has, wants, path, lacking);
    }
}

/// How a person brings the definitions of this version into a cluster.
pub const APPLY_CRDS: &str =
    "provident-operator crd | kubectl apply --server-side --force-conflicts -f -";

/// Adds what the derive cannot say.
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut());
        if let Some(root) = schema {
            tidy(root);
            bound_name(root);
            default_status(root);
        }
    }
    crd
}

/// An object that has not been reconciled yet must not be taken for ready by kstatus, `helm --wait` or Flux, which read a
/// missing condition as success. Hence a default that says so, with an `observedGeneration` that is never current.
fn default_status(root: &mut JSONSchemaProps) {
    // Set after the descriptions, because users do not write status by hand.
    if let Some(status) = root.properties.as_mut().and_then(|p| p.get_mut("status")) {
        status.default = Some(JSON(json!({
            "observedGeneration": -1,
            "conditions": [{
                "type": "Ready",
                "status": "Unknown",
                "reason": "Pending",
                "message": "Waiting for provident-operator. If this stays, the operator is not running or does not \
                            watch this namespace.",
                "lastTransitionTime": "1970-01-01T00:00:00Z",
            }],
        })));
    }
}

/// Rules that read `metadata.name` are estimated by its length, which the API server does not know by itself.
fn bound_name(root: &mut JSONSchemaProps) {
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        max_length: Some(253),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..JSONSchemaProps::default()
    };
    root.properties
        .get_or_insert_default()
        .insert("metadata".to_owned(), metadata);
}

/// Descriptions lose the line breaks of the source and get the default and the allowed values, which `kubectl explain` does
/// not show otherwise. Titles repeat the kind. No property is nullable: the API server then drops a null, as a template
/// often leaves one, instead of storing it. Integers are bounded, because older API servers do not enforce `format`.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.title = None;
    if let Some(description) = &mut schema.description {
        let paragraphs: Vec<String> = description
            .split("\n\n")
            .map(|p| p.replace('\n', " "))
            .collect();
        *description = paragraphs.join("\n\n");
        let allowed = schema
            .enum_
            .iter()
            .flatten()
            .map(|JSON(value)| plain(value));
        let allowed = allowed.collect::<Vec<_>>().join(", ");
        if !allowed.is_empty() {
            let _ = write!(description, " Allowed values: {allowed}.");
        }
        if let Some(JSON(default)) = &schema.default {
            let _ = write!(description, " Default: {}.", plain(default));
        }
    }
    let bounds = match (schema.type_.as_deref(), schema.format.as_deref()) {
        (Some("integer"), Some("int32")) => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        // The largest integer that every JSON reader holds exactly.
        (Some("integer"), _) => Some((-9_007_199_254_740_991.0, 9_007_199_254_740_991.0)),
        _ => None,
    };
    if let Some((least, greatest)) = bounds {
        schema.minimum.get_or_insert(least);
        schema.maximum.get_or_insert(greatest);
    }
    schema
        .properties
        .iter_mut()
        .flat_map(|p| p.values_mut())
        .for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
        // `kubectl explain` would print it as a second text under the list's own.
        items.description = None;
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}
