//! Who may use a connection, and for which scopes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::AccessRule;

/// Stands for every scope in a rule.
const EVERY_SCOPE: &str = "*";

/// Why a connection may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessDenied {
    /// No rule matches the namespace.
    #[error(
        "no access rule of the connection names namespace {namespace}; ask its owner to add one to spec.access"
    )]
    Namespace {
        /// The namespace that asked.
        namespace: String,
    },
    /// Rules match the namespace, but none has these scopes.
    #[error(
        "the connection's access rules do not allow namespace {namespace} the scopes {}; remove them from \
         spec.allowedScopes, or ask the connection's owner to add them to spec.access",
        scopes.join(", ")
    )]
    Scopes {
        /// The namespace that asked.
        namespace: String,
        /// The scopes that no matching rule has.
        scopes: Vec<String>,
    },
}

/// Whether a namespace with these labels may have a client with these scopes.
///
/// A rule matches a namespace by name or by selector. A scope is allowed if any matching rule has it or `*`, so rules
/// add up and their order does not matter. Whatever is not understood, such as an unknown operator, matches nothing.
///
/// # Errors
/// No rule matches, or some scopes are in no matching rule.
pub fn allows(
    rules: &[AccessRule],
    namespace: &str,
    labels: &BTreeMap<String, String>,
    scopes: &[String],
) -> Result<(), AccessDenied> {
    let matching: Vec<&AccessRule> = rules
        .iter()
        .filter(|rule| matches_namespace(rule, namespace, labels))
        .collect();
    if matching.is_empty() {
        return Err(AccessDenied::Namespace {
            namespace: namespace.to_owned(),
        });
    }
    let allowed = |scope: &String| {
        matching.iter().any(|rule| {
            rule.scopes
                .iter()
                .any(|allowed| allowed == EVERY_SCOPE || allowed == scope)
        })
    };
    let denied: Vec<String> = scopes
        .iter()
        .filter(|scope| !allowed(scope))
        .cloned()
        .collect();
    if denied.is_empty() {
        Ok(())
    } else {
        Err(AccessDenied::Scopes {
            namespace: namespace.to_owned(),
            scopes: denied,
        })
    }
}

/// Whether the namespace's labels must be known to decide: some rule selects by them.
#[must_use]
pub fn needs_labels(rules: &[AccessRule]) -> bool {
    rules.iter().any(|rule| rule.namespace_selector.is_some())
}

fn matches_namespace(
    rule: &AccessRule,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> bool {
    match &rule.namespace_selector {
        // The schema refuses a rule with both; should one be stored all the same, it must not match by either.
        Some(selector) => rule.namespaces.is_empty() && selects(selector, labels),
        None => rule.namespaces.iter().any(|name| name == namespace),
    }
}

/// The semantics of a Kubernetes label selector: all its requirements hold; an empty one selects everything.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|requirement| holds(requirement, labels))
}

fn holds(requirement: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        // A namespace without the label is selected too; a requirement without values is invalid and selects nothing.
        "NotIn" => !values.is_empty() && value.is_none_or(|value| !values.contains(value)),
        "Exists" => values.is_empty() && value.is_some(),
        "DoesNotExist" => values.is_empty() && value.is_none(),
        _ => false,
    }
}
