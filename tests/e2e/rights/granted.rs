//! What roles grant, one verb at a time, held against what was asked for.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::audit::Asked;

/// One verb that one role grants on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Granted {
    /// None: in all namespaces, and what has none.
    pub namespace: Option<String>,
    /// API group; empty for the core group.
    pub group: String,
    /// Such as `secrets` or `oauthclients/status`.
    pub resource: String,
    /// None: of any name.
    pub name: Option<String>,
    pub verb: String,
}

impl Granted {
    fn allows(&self, asked: &Asked) -> bool {
        (&self.verb, &self.group, &self.resource) == (&asked.verb, &asked.group, &asked.resource)
            && self
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == asked.namespace)
            && self.name.as_ref().is_none_or(|name| *name == asked.name)
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.namespace.as_deref().unwrap_or("*");
        let group = if self.group.is_empty() {
            String::new()
        } else {
            format!(".{}", self.group)
        };
        let name = self.name.as_deref().unwrap_or_default();
        let resource = format!("{}{group} {name}", self.resource);
        write!(f, "{place:<28} {resource:<90} {:<7}", self.verb)
    }
}

/// All that these roles grant.
pub fn granted(roles: &[Value]) -> Vec<Granted> {
    roles.iter().flat_map(of_role).collect()
}

// Every combination of what its rules list.
fn of_role(role: &Value) -> Vec<Granted> {
    let namespace = role["metadata"]["namespace"].as_str();
    let mut all = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let mut names: Vec<_> = texts(&rule["resourceNames"])
            .into_iter()
            .map(Some)
            .collect();
        if names.is_empty() {
            names.push(None);
        }
        for group in &texts(&rule["apiGroups"]) {
            for resource in &texts(&rule["resources"]) {
                for name in &names {
                    all.extend(texts(&rule["verbs"]).into_iter().map(|verb| Granted {
                        namespace: namespace.map(ToOwned::to_owned),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb,
                    }));
                }
            }
        }
    }
    all
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// How often each grant was made use of.
pub fn uses(grants: &[Granted], asked: &[Asked]) -> BTreeMap<Granted, usize> {
    grants
        .iter()
        .map(|grant| {
            let used = asked.iter().filter(|asked| grant.allows(asked)).count();
            (grant.clone(), used)
        })
        .collect()
}

#[test]
fn a_grant_that_nobody_used_is_found_by_place_name_and_verb() {
    let of = |namespace: &str, rule: Value| json!({ "metadata": { "namespace": namespace }, "rules": [rule] });
    let any = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "update"] });
    let named = json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["key"], "verbs": ["get"] });
    let grants = granted(&[of("shop", any), of("system", named)]);
    let asked = |verb: &str, namespace: &str, name: &str| Asked {
        verb: verb.to_owned(),
        group: String::new(),
        resource: "secrets".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        allowed: true,
    };
    let unused = |asked: &[Asked]| -> Vec<String> {
        let uses = uses(&grants, asked).into_iter();
        uses.filter(|(_, used)| *used == 0)
            .map(|(grant, _)| format!("{} {}", grant.namespace.unwrap(), grant.verb))
            .collect()
    };
    let all = [
        asked("get", "shop", "web"),
        asked("update", "shop", "web"),
        asked("get", "system", "key"),
    ];
    assert_eq!(unused(&all), Vec::<String>::new());
    assert_eq!(unused(&all[..2]), ["system get"]);
    let elsewhere = [
        asked("get", "system", "other"),
        asked("update", "other", "web"),
    ];
    assert_eq!(
        unused(&elsewhere),
        ["shop get", "shop update", "system get"]
    );
}
