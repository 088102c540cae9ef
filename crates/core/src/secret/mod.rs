//! The generated Secret: how it is rendered, compared and owned. Pure.

mod metadata;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::constant_time;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::api::{
    BINDING_ANNOTATION, CLIENT_ID_ANNOTATION, DEFAULT_STRING_DATA, MANAGED_ANNOTATION,
    MANAGED_LABEL, MANAGER, OAuthClient,
};
use crate::vendor::types::{MAX_CLIENT_ID, MAX_CLIENT_SECRET};

pub use metadata::SecretMetadata;
pub use template::{Values, expand};

/// `type` of every generated Secret. Never the user's to choose: who may choose it may mint a service account token.
pub const OPAQUE: &str = "Opaque";

/// Names of what we wrote on a Secret, so that what the spec drops later is taken away and what others put there stays.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Managed {
    data: BTreeSet<String>,
    labels: BTreeSet<String>,
    annotations: BTreeSet<String>,
}

// What the Secret holds, by key: `spec.secret.stringData`, or the default.
fn string_data(object: &OAuthClient) -> BTreeMap<String, String> {
    let secret = object.spec.secret.as_ref();
    let stated = secret.and_then(|secret| secret.string_data.clone());
    stated.unwrap_or_else(|| {
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        DEFAULT_STRING_DATA.into_iter().map(pair).collect()
    })
}

/// The keys that the Secret should hold.
#[must_use]
pub fn keys(object: &OAuthClient) -> BTreeSet<String> {
    string_data(object).into_keys().collect()
}

/// The key that holds the client's secret and nothing else, if there is one.
#[must_use]
pub fn key_of_the_secret(object: &OAuthClient) -> Option<String> {
    let mut all = string_data(object).into_iter();
    all.find(|(_, template)| template == "$(clientSecret)")
        .map(|(key, _)| key)
}

/// Whether `observed` shows knowledge of the client's secret: it holds, under one of the keys that the spec declares, the value
/// that the secret makes.
#[must_use]
pub fn proves(observed: &Secret, object: &OAuthClient, values: Values<'_>) -> bool {
    let without = Values {
        client_secret: &SecretString::from(""),
        ..values
    };
    let data = observed.data.as_ref();
    string_data(object).iter().any(|(key, template)| {
        let expected = expand(template, values);
        let found = data.and_then(|data| data.get(key));
        // A value that does not depend on the secret proves nothing.
        expected != expand(template, without)
            && found.is_some_and(|found| {
                constant_time::verify_slices_are_equal(&found.0, expected.as_bytes()).is_ok()
            })
    })
}

/// The value under `key` without surrounding white space; empty if it is missing or not UTF-8.
#[must_use]
pub fn text<'a>(secret: &'a Secret, key: &str) -> &'a str {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    bytes
        .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
        .map(str::trim)
        .unwrap_or_default()
}

/// The Secret as it should be.
#[must_use]
pub fn render(object: &OAuthClient, values: Values<'_>, mac: &str) -> Secret {
    let template = object.spec.secret.as_deref().cloned().unwrap_or_default();
    let data: BTreeMap<_, _> = string_data(object)
        .into_iter()
        .map(|(key, template)| (key, ByteString(expand(&template, values).into_bytes())))
        .collect();
    let managed = Managed {
        data: data.keys().cloned().collect(),
        labels: template.labels.keys().cloned().collect(),
        annotations: template.annotations.keys().cloned().collect(),
    };
    let mut labels = template.labels;
    labels.insert(MANAGED_LABEL.to_owned(), MANAGER.to_owned());
    let mut annotations = template.annotations;
    annotations.insert(CLIENT_ID_ANNOTATION.to_owned(), values.client_id.to_owned());
    annotations.insert(BINDING_ANNOTATION.to_owned(), mac.to_owned());
    // Three sets of strings always serialize.
    annotations.insert(
        MANAGED_ANNOTATION.to_owned(),
        serde_json::to_string(&managed).unwrap_or_default(),
    );
    Secret {
        metadata: ObjectMeta {
            name: Some(object.secret_name().to_owned()),
            namespace: object.namespace(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owner_reference(object)]),
            ..ObjectMeta::default()
        },
        type_: Some(OPAQUE.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// The Secret with values of the largest size, for the dry run before a create. It holds no credentials.
#[must_use]
pub fn largest(object: &OAuthClient, token_url: &str) -> Secret {
    let values = Values {
        client_id: &"x".repeat(MAX_CLIENT_ID),
        // The character that takes the most room in JSON, where it is escaped.
        client_secret: &SecretString::from("\"".repeat(MAX_CLIENT_SECRET)),
        token_url,
    };
    // With the namespace's uid and a dot in front of the digits.
    render(object, values, &"0".repeat(36 + 1 + 64))
}

/// Our owner reference. It does not block owner deletion: a foreground deletion must not wait for the Secret.
fn owner_reference(object: &OAuthClient) -> OwnerReference {
    OwnerReference {
        api_version: OAuthClient::api_version(&()).into_owned(),
        kind: OAuthClient::kind(&()).into_owned(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}

/// Whether everything of ours on `observed` is as `desired` has it. What others put there does not count.
#[must_use]
pub fn is_current(observed: &Secret, desired: &Secret) -> bool {
    let merged = merge(observed, desired);
    observed.data == merged.data
        && observed.metadata.labels == merged.metadata.labels
        && observed.metadata.annotations == merged.metadata.annotations
        && observed.metadata.owner_references == merged.metadata.owner_references
}

/// `observed` with everything of ours as `desired` has it: what we wrote once and the spec has dropped goes, what
/// others put there stays. It keeps the `resourceVersion`, so that it replaces the version that was read and nothing newer.
#[must_use]
pub fn merge(observed: &Secret, desired: &Secret) -> Secret {
    let before: Managed = observed
        .annotations()
        .get(MANAGED_ANNOTATION)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut merged = observed.clone();
    overlay(&mut merged.data, desired.data.as_ref(), &before.data);
    let (meta, wanted) = (&mut merged.metadata, &desired.metadata);
    overlay(&mut meta.labels, wanted.labels.as_ref(), &before.labels);
    overlay(
        &mut meta.annotations,
        wanted.annotations.as_ref(),
        &before.annotations,
    );
    let ours = wanted.owner_references.clone().unwrap_or_default();
    let is_ours = |owner: &OwnerReference| ours.iter().any(|our| our.uid == owner.uid);
    let owners = meta.owner_references.get_or_insert_default();
    if !ours.iter().all(|our| owners.contains(our)) {
        owners.retain(|owner| !is_ours(owner));
        owners.extend(ours);
    }
    merged
}

/// `observed` without our owner reference, so that it outlives its object.
#[must_use]
pub fn disown(observed: &Secret, object: &OAuthClient) -> Secret {
    let mut secret = observed.clone();
    if let Some(owners) = &mut secret.metadata.owner_references {
        owners.retain(|owner| Some(&owner.uid) != object.metadata.uid.as_ref());
    }
    secret
}

fn overlay<V: Clone>(
    merged: &mut Option<BTreeMap<String, V>>,
    desired: Option<&BTreeMap<String, V>>,
    before: &BTreeSet<String>,
) {
    let merged = merged.get_or_insert_default();
    merged.retain(|key, _| !before.contains(key));
    let desired = desired.into_iter().flatten();
    merged.extend(desired.map(|(key, value)| (key.clone(), value.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Owner;

    fn values(secret: &SecretString) -> Values<'_> {
        Values {
            client_id: "id1",
            client_secret: secret,
            token_url: "https://v/token",
        }
    }

    fn object(spec: &serde_json::Value) -> OAuthClient {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
            "metadata": { "name": "storefront", "namespace": "shop", "uid": "u1" },
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn s35_what_the_spec_drops_goes_and_what_others_put_there_stays() {
        let secret = SecretString::from("s1");
        let before = object(&serde_json::json!({ "allowedScopes": ["a"], "secret": {
            "labels": { "team": "shop" }, "stringData": { "old": "$(clientId)", "kept": "$(clientSecret)" } } }));
        let mut observed = render(&before, values(&secret), "mac");
        let data = observed.data.as_mut().unwrap();
        data.insert("others".to_owned(), ByteString(b"x".to_vec()));
        observed
            .metadata
            .annotations
            .as_mut()
            .unwrap()
            .insert("reloader/hash".to_owned(), "1".to_owned());
        assert!(is_current(
            &observed,
            &render(&before, values(&secret), "mac")
        ));

        let after = object(
            &serde_json::json!({ "allowedScopes": ["a"], "secret": { "stringData": { "kept": "$(clientSecret)" } } }),
        );
        let desired = render(&after, values(&secret), "mac");
        assert!(!is_current(&observed, &desired));
        let merged = merge(&observed, &desired);
        assert_eq!(
            merged.data.as_ref().unwrap().keys().collect::<Vec<_>>(),
            ["kept", "others"]
        );
        assert!(!merged.labels().contains_key("team"));
        assert_eq!(merged.annotations()["reloader/hash"], "1");
        assert!(is_current(&merged, &desired));
    }

    #[test]
    fn a_stripped_owner_comes_back_and_a_strangers_owner_stays() {
        let secret = SecretString::from("s1");
        let object = object(&serde_json::json!({ "allowedScopes": ["a"] }));
        let desired = render(&object, values(&secret), "mac");
        let mut observed = desired.clone();
        observed.metadata.owner_references = None;
        assert_eq!(
            SecretMetadata::of(&observed.metadata).owner(&object),
            Owner::None
        );
        assert!(!is_current(&observed, &desired));
        let other = OwnerReference {
            uid: "x".to_owned(),
            controller: None,
            ..owner_reference(&object)
        };
        observed.metadata.owner_references = Some(vec![other.clone()]);
        let merged = merge(&observed, &desired);
        assert_eq!(
            SecretMetadata::of(&merged.metadata).owner(&object),
            Owner::This
        );
        assert!(merged.owner_references().contains(&other));
        assert_eq!(
            SecretMetadata::of(&disown(&merged, &object).metadata).owner(&object),
            Owner::None
        );
    }
}
