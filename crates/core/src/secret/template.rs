//! `$(…)` in `spec.secret.stringData`: Kubernetes' own syntax, three names, each also quoted for JSON and YAML.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::api::TEMPLATE_VARIABLES;

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

/// Replaces each of [`TEMPLATE_VARIABLES`], with `:json` by a JSON string. `$$` before `(` or `$(` is a literal `$`, and stays
/// as written before anything else. Any other `$(…)` stays too, as Kubernetes does with `$(VAR)`; the schema refuses it.
#[must_use]
pub fn expand(template: &str, values: Values<'_>) -> String {
    let known = TEMPLATE_VARIABLES.into_iter().zip([
        values.client_id,
        values.client_secret.expose_secret(),
        values.token_url,
    ]);
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let after = rest[at..].trim_start_matches('$');
        let dollars = &rest[at..rest.len() - after.len()];
        if !after.starts_with('(') {
            text.push_str(dollars);
            rest = after;
            continue;
        }
        text.push_str(&dollars[..dollars.len() / 2]);
        rest = after;
        if dollars.len().is_multiple_of(2) {
            continue;
        }
        let replaced = known.clone().find_map(|([plain, json], value)| {
            // Without its `$`, which is consumed.
            if let Some(rest) = after.strip_prefix(&plain[1..]) {
                return Some((Cow::Borrowed(value), rest));
            }
            let rest = after.strip_prefix(&json[1..])?;
            Some((Value::from(value).to_string().into(), rest))
        });
        if let Some((value, remaining)) = replaced {
            text.push_str(&value);
            rest = remaining;
        } else {
            text.push('$');
        }
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
            ("$$$$(clientId)", "$$(clientId)"),
            ("a$b$", "a$b$"),
            ("pa$$word $$ $${x} $$$", "pa$$word $$ $${x} $$$"),
            ("$(clientId:json)", r#""id1""#),
            ("$$(clientId:json)", "$(clientId:json)"),
            ("$(clientId:yaml)", "$(clientId:yaml)"),
            ("$(other)", "$(other)"),
            ("$(tokenUrl", "$(tokenUrl"),
            ("", ""),
        ] {
            assert_eq!(expand(template, values), text, "{template}");
        }
    }

    #[test]
    fn a_quoted_value_reads_back_from_json_and_yaml() {
        for secret in [
            "plain",
            r#"a"b\c'd"#,
            "#: {}[]\u{e9}\u{1f600}",
            "true",
            "1e3",
            "</script>",
        ] {
            let values = Values {
                client_id: "",
                client_secret: &SecretString::from(secret),
                token_url: "",
            };
            let text = expand(r#"{"secret": $(clientSecret:json)}"#, values);
            let json: Value = serde_json::from_str(&text).unwrap();
            let yaml: Value = serde_saphyr::from_str(&text).unwrap();
            assert_eq!(
                (&json["secret"], &yaml["secret"]),
                (&secret.into(), &secret.into())
            );
        }
    }
}
