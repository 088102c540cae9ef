//! Who may use a connection, and for which scopes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::AccessRule;

/// Means every scope in a rule.
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

/// Whether a namespace with these labels may take over clients that exist already: some rule that matches it says so.
#[must_use]
pub fn allows_adoption(
    rules: &[AccessRule],
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> bool {
    rules
        .iter()
        .any(|rule| rule.allow_adoption && matches_namespace(rule, namespace, labels))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(namespaces: &[&str], scopes: &[&str]) -> AccessRule {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        AccessRule {
            namespaces: owned(namespaces),
            scopes: owned(scopes),
            ..AccessRule::default()
        }
    }

    fn by_labels(selector: LabelSelector) -> AccessRule {
        AccessRule {
            namespace_selector: Some(selector),
            ..by_name(&[], &["*"])
        }
    }

    fn by_expression(operator: &str, values: &[&str]) -> AccessRule {
        let values = values.iter().map(ToString::to_string).collect();
        let requirement = LabelSelectorRequirement {
            key: "tier".into(),
            operator: operator.into(),
            values: Some(values),
        };
        by_labels(LabelSelector {
            match_expressions: Some(vec![requirement]),
            match_labels: None,
        })
    }

    /// Operator, values, the namespace's labels, and whether it is selected.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)], bool);

    /// Asks for namespace `shop`.
    fn ask(
        rules: &[AccessRule],
        labels: &[(&str, &str)],
        scopes: &[&str],
    ) -> Result<(), AccessDenied> {
        let labels = labels
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        allows(rules, "shop", &labels, &scopes)
    }

    #[test]
    fn no_rule_allows_nobody() {
        let denied = AccessDenied::Namespace {
            namespace: "shop".into(),
        };
        assert_eq!(ask(&[], &[], &["a"]), Err(denied.clone()));
        assert_eq!(
            ask(&[by_name(&["other", "shop2"], &["*"])], &[], &["a"]),
            Err(denied.clone())
        );
        assert_eq!(
            ask(&[by_name(&[], &["*"])], &[], &["a"]),
            Err(denied),
            "a rule without selector"
        );
    }

    #[test]
    fn rules_add_up_and_the_denied_scopes_are_named() {
        let rules = [
            by_name(&["shop"], &["a"]),
            by_name(&["shop", "x"], &["b"]),
            by_name(&["x"], &["c"]),
        ];
        assert_eq!(ask(&rules, &[], &["a", "b"]), Ok(()));
        let message = ask(&rules, &[], &["a", "c", "d"]).map_err(|e| e.to_string());
        assert!(
            message
                .clone()
                .is_err_and(|m| m.contains("scopes c, d;") && m.contains("shop")),
            "{message:?}"
        );
        assert_eq!(
            ask(&[by_name(&["shop"], &["*"])], &[], &["any", "thing"]),
            Ok(())
        );
    }

    #[test]
    fn a_selector_means_what_it_means_in_kubernetes() {
        let prod: &[(&str, &str)] = &[("tier", "prod")];
        let cases: [Case; 14] = [
            ("In", &["prod", "test"], prod, true),
            ("In", &["test"], prod, false),
            ("In", &["prod"], &[], false),
            ("In", &[], prod, false),
            ("NotIn", &["test"], prod, true),
            ("NotIn", &["prod"], prod, false),
            ("NotIn", &["prod"], &[], true),
            ("NotIn", &[], prod, false),
            ("Exists", &[], prod, true),
            ("Exists", &[], &[], false),
            ("Exists", &["prod"], prod, false),
            ("DoesNotExist", &[], &[], true),
            ("DoesNotExist", &[], prod, false),
            ("Gt", &["1"], &[("tier", "2")], false),
        ];
        for (operator, values, labels, expected) in cases {
            let answer = ask(&[by_expression(operator, values)], labels, &["a"]);
            assert_eq!(answer.is_ok(), expected, "{operator} {values:?} {labels:?}");
        }
    }

    #[test]
    fn all_requirements_of_a_selector_must_hold() {
        let mut rule = by_expression("NotIn", &["test"]);
        if let Some(selector) = &mut rule.namespace_selector {
            selector.match_labels = Some([("team".to_owned(), "a".to_owned())].into());
        }
        let rules = [rule];
        assert!(ask(&rules, &[("team", "a"), ("tier", "prod")], &["a"]).is_ok());
        assert!(ask(&rules, &[("team", "a"), ("tier", "test")], &["a"]).is_err());
        assert!(ask(&rules, &[("team", "b"), ("tier", "prod")], &["a"]).is_err());
    }

    #[test]
    fn an_empty_selector_selects_every_namespace_and_two_selectors_none() {
        let every = by_labels(LabelSelector::default());
        assert!(ask(std::slice::from_ref(&every), &[], &["a"]).is_ok());
        let both = AccessRule {
            namespaces: vec!["shop".to_owned()],
            ..every
        };
        assert!(ask(&[both], &[], &["a"]).is_err());
    }

    #[test]
    fn labels_are_needed_only_for_selectors() {
        assert!(!needs_labels(&[by_name(&["shop"], &["*"])]));
        assert!(needs_labels(&[
            by_name(&["shop"], &["*"]),
            by_labels(LabelSelector::default())
        ]));
    }
}
