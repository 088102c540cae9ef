//! O4: nothing confidential outside the data of Secrets, in whatever form.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use serde_json::Value;

use crate::world::World;

impl World {
    /// In no object of the operator's (managed fields included), event, metric or log line, at TRACE.
    pub async fn keeps_secrets_secret(&self) {
        let group = "/apis/oauth.provident.ae/v1alpha1";
        let mut places = vec![
            ("the log as text".to_owned(), self.log.text()),
            ("the log as JSON".to_owned(), self.log.json()),
            ("a span".to_owned(), self.log.spans()),
        ];
        for metrics in self.metrics.lock().unwrap().iter() {
            places.push(("a metric".to_owned(), metrics.text()));
        }
        // One connection, and a test may delete it.
        let connection = self.connections().get_opt(&self.connection).await.unwrap();
        places.push((
            "the connection".to_owned(),
            serde_json::to_string(&connection).unwrap(),
        ));
        let mut paths = vec!["/api/v1/namespaces/default/events".to_owned()];
        for namespace in [&self.namespace, &self.system] {
            paths.extend([
                format!("{group}/namespaces/{namespace}/oauthclients"),
                format!("{group}/namespaces/{namespace}/providentconnections"),
                format!("/api/v1/namespaces/{namespace}/events"),
                format!("/api/v1/namespaces/{namespace}/secrets"),
                format!("/api/v1/namespaces/{namespace}/configmaps"),
            ]);
        }
        for path in paths {
            let mut found = self.get_json(&path).await;
            if path.ends_with("/secrets") {
                for secret in found["items"].as_array_mut().unwrap() {
                    secret["data"] = Value::Null;
                }
            }
            // A string of JSON writes a slash as it is, and nothing else of a secret needs escaping.
            places.push((path, found.to_string()));
        }
        for secret in self.emulator.secrets() {
            for form in forms(&secret) {
                for (place, text) in &places {
                    if let Some(at) = text.find(&form) {
                        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                        panic!(
                            "a secret of the vendor's occurs in {place}: {}…",
                            &text[line..at]
                        );
                    }
                }
            }
        }
    }
}

// Plain; as a URL or a form writes it; as base64 writes it at any offset of the encoded text, in both alphabets.
fn forms(secret: &str) -> BTreeSet<String> {
    let url: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = BTreeSet::from([secret.to_owned(), url.to_lowercase(), url]);
    for before in 0..3 {
        let shifted = format!("{}{secret}", "-".repeat(before));
        let encoded = serde_json::to_string(&ByteString(shifted.into_bytes())).unwrap();
        let encoded = encoded.trim_matches(['"', '=']);
        // Without the ends, which depend on what is around them.
        let inner = &encoded[if before == 0 { 0 } else { 4 }..encoded.len() - 3];
        forms.insert(inner.to_owned());
        forms.insert(inner.replace('+', "-").replace('/', "_"));
    }
    forms
}

#[test]
fn every_form_of_a_secret_is_found() {
    let secret = "0123456789abcdef/~0123456789abcdef";
    let forms = forms(secret);
    let found = |text: &str| forms.iter().any(|form| text.contains(form.as_str()));
    let base64 = |text: String| serde_json::to_string(&ByteString(text.into_bytes())).unwrap();
    assert!(found(&format!("token {secret} refused")));
    assert!(found("x=0123456789abcdef%2F%7E0123456789abcdef"));
    for around in ["", "B", "Be", "Bearer ", "{\"token\": \""] {
        assert!(
            found(&base64(format!("{around}{secret}{around}"))),
            "{around}"
        );
    }
    assert!(!found("0123456789abcdef"));
}
