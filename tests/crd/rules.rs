//! The table of rules (`rules.yaml`, `connection_rules.yaml`), and the same table against the CEL evaluator in this process.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::Validator;
use provident_core::api;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The name of every object of the table; rules about the Secret's name compare with it.
pub const NAME: &str = "example";

/// One entry of the table; the file says what each field is.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    pub field: String,
    pub message: String,
    #[serde(default = "oauth_client")]
    pub kind: String,
    #[serde(default)]
    pub server_only: bool,
    #[serde(default)]
    pub names: String,
    pub before: Option<Before>,
    pub accepted: Map<String, Value>,
    pub refused: Map<String, Value>,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Before {
    pub spec: Map<String, Value>,
    pub status: Map<String, Value>,
}

fn oauth_client() -> String {
    "OAuthClient".to_owned()
}

pub fn table() -> Vec<Rule> {
    let read =
        |text| -> Vec<Rule> { serde_saphyr::from_str(text).expect("the table reads as rules") };
    let mut table = read(include_str!("rules.yaml"));
    for rule in read(include_str!("connection_rules.yaml")) {
        if rule.kind == "both" {
            for kind in ["ProvidentConnection", "ClusterProvidentConnection"] {
                table.push(Rule {
                    kind: kind.to_owned(),
                    ..rule.clone()
                });
            }
        } else {
            table.push(rule);
        }
    }
    table
}

impl Rule {
    pub fn crd(&self) -> CustomResourceDefinition {
        api::crds()
            .into_iter()
            .find(|crd| crd.spec.names.kind == self.kind)
            .expect("a kind of ours")
    }

    /// An object with this part laid over the smallest valid spec.
    pub fn object(&self, part: &Map<String, Value>) -> Value {
        let mut spec = match self.kind.as_str() {
            "OAuthClient" => json!({ "allowedScopes": ["listings:read"] }),
            _ => json!({ "auth": { "tokenSecretRef": { "name": "provident-token" } } }),
        };
        for (field, value) in part {
            spec[field] = value.clone();
        }
        spec.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        json!({
            "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
            "kind": self.kind,
            "metadata": { "name": NAME },
            "spec": spec,
        })
    }

    /// The object that is changed, for a rule about changes.
    pub fn old_object(&self) -> Option<Value> {
        let before = self.before.as_ref()?;
        let mut object = self.object(&before.spec);
        object["status"] = Value::Object(before.status.clone());
        Some(object)
    }
}

#[test]
fn the_cel_rules_accept_and_refuse_what_the_table_says() {
    for rule in table() {
        let schema = rule
            .crd()
            .spec
            .versions
            .remove(0)
            .schema
            .unwrap()
            .open_api_v3_schema
            .unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        let old = rule.old_object();
        let check = |part| Validator::new().validate(&schema, &rule.object(part), old.as_ref());

        let accepted = check(&rule.accepted);
        assert!(
            accepted.is_ok(),
            "{}: {}\n{accepted:?}",
            rule.field,
            json!(rule.accepted)
        );
        if !rule.server_only {
            let refusal = check(&rule.refused).expect_err(&format!(
                "{}: {}",
                rule.field,
                json!(rule.refused)
            ));
            let named = refusal.as_slice().iter().any(|e| {
                same_field(&e.field_path, &rule.field) && e.message.contains(&rule.message)
            });
            assert!(named, "{} … {}\n{refusal}", rule.field, rule.message);
        }
    }
}

#[test]
fn the_table_has_every_cel_rule() {
    let mut missing = Vec::new();
    let table = table();
    for crd in api::crds() {
        let schema = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        let mut rules = BTreeSet::new();
        collect("", &serde_json::to_value(schema).unwrap(), &mut rules);
        assert!(rules.len() > 5, "{rules:?}");
        for (field, message) in rules {
            let listed = table.iter().any(|rule| {
                rule.kind == crd.spec.names.kind
                    && same_field(&rule.field, &field)
                    && message.contains(&rule.message)
            });
            if !listed {
                missing.push(format!("{} {field}: {message}", crd.spec.names.kind));
            }
        }
    }
    assert!(missing.is_empty(), "not in rules.yaml: {missing:#?}");
}

/// Every CEL rule of a schema: the field that it names and its message.
fn collect(path: &str, schema: &Value, rules: &mut BTreeSet<(String, String)>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let message = rule["message"]
            .as_str()
            .unwrap_or_else(|| panic!("{path}: a rule without message"));
        let below = rule["fieldPath"].as_str().unwrap_or_default();
        rules.insert((format!("{path}{below}"), message.to_owned()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        collect(&format!("{path}.{name}"), property, rules);
    }
    for member in [&schema["items"], &schema["additionalProperties"]] {
        if member.is_object() {
            collect(&format!("{path}[*]"), member, rules);
        }
    }
}

/// Compares two paths segment by segment, however they write the members of a list or map; `*` stands for any member.
fn same_field(a: &str, b: &str) -> bool {
    let segments = |path: &str| -> Vec<String> {
        let parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    let (a, b) = (segments(a), segments(b));
    a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(a, b)| a == b || a == "*" || b == "*")
}
