//! `$(…)` in `spec.secret.stringData`: Kubernetes' own syntax, three names, no functions.

use secrecy::{ExposeSecret, SecretString};

/// What the `$(…)` names of a template stand for.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// `$(clientId)`
    pub client_id: &'a str,
    /// `$(clientSecret)`
    pub client_secret: &'a SecretString,
    /// `$(tokenUrl)`
    pub token_url: &'a str,
}

/// Replaces `$(clientId)`, `$(clientSecret)` and `$(tokenUrl)`; `$$(` is a literal `$(`. Any other `$(…)` is left as it
/// stands, as Kubernetes does with `$(VAR)`; the schema refuses it before.
#[must_use]
pub fn expand(template: &str, values: Values<'_>) -> String {
    let names = [
        ("$(clientId)", values.client_id),
        ("$(clientSecret)", values.client_secret.expose_secret()),
        ("$(tokenUrl)", values.token_url),
    ];
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = names.iter().find(|(name, _)| rest.starts_with(name));
        rest = if let Some((name, value)) = known {
            text.push_str(value);
            &rest[name.len()..]
        } else if let Some(after) = rest.strip_prefix("$$") {
            text.push('$');
            after
        } else {
            text.push('$');
            &rest[1..]
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_know_three_names_and_an_escape() {
        let secret = SecretString::from("s$(clientId)");
        let values = Values {
            client_id: "id1",
            client_secret: &secret,
            token_url: "https://v/token",
        };
        for (template, text) in [
            ("$(clientId):$(clientSecret)", "id1:s$(clientId)"),
            ("$$(clientId)", "$(clientId)"),
            ("$$$(clientId)", "$id1"),
            ("a$b$", "a$b$"),
            ("$(other)", "$(other)"),
            ("$(tokenUrl", "$(tokenUrl"),
            ("", ""),
        ] {
            assert_eq!(expand(template, values), text, "{template}");
        }
    }
}
