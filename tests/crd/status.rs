//! The status in Rust and in the schema are one.

use provident_core::api::{self, OAuthClientStatus};
use serde_json::{Value, json};

/// A status with every field that there is.
pub fn complete_status() -> Value {
    let time = "2026-01-02T03:04:05Z";
    json!({
        "observedGeneration": 1,
        "clientId": "abc",
        "bindingMAC": "c2ln",
        "secretName": "example",
        "lastRotationTime": time,
        "nextRotationTime": time,
        "lastHandledRotate": "1",
        "lastHandledReconcile": "2",
        "createAttempt": { "id": "a2", "startTime": time, "retryOf": "a1", "outcome": "NoAnswer" },
        "rotation": { "token": "1", "previousSecretHash": "aGFzaA", "startTime": time, "scheduled": true, "accepted": true, "notApplied": true },
        "secretResourceVersion": "42",
        "secretRevision": 3,
        "secretHash": "00ff",
        "rejectedGeneration": 1,
        "fieldsNotApplied": { "generation": 1, "fields": ["name"] },
        "conditions": [{
            "type": "Ready",
            "status": "True",
            "reason": "Available",
            "message": "",
            "observedGeneration": 1,
            "lastTransitionTime": time,
        }],
    })
}

#[test]
fn status_survives_a_round_trip() {
    let read: OAuthClientStatus = serde_json::from_value(complete_status()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), complete_status());
}

#[test]
fn what_is_not_known_is_not_written() {
    assert_eq!(
        serde_json::to_value(OAuthClientStatus::default()).unwrap(),
        json!({})
    );
}

#[test]
fn the_round_trip_has_every_field_of_the_schema() {
    let crd = api::crds()
        .into_iter()
        .find(|crd| crd.spec.names.kind == "OAuthClient")
        .unwrap();
    let schema = crd.spec.versions[0]
        .schema
        .as_ref()
        .unwrap()
        .open_api_v3_schema
        .as_ref()
        .unwrap();
    let names =
        |schema: &Value| -> Vec<String> { schema.as_object().unwrap().keys().cloned().collect() };
    let status =
        serde_json::to_value(&schema.properties.as_ref().unwrap()["status"].properties).unwrap();
    assert_eq!(names(&status), names(&complete_status()));
    for record in ["createAttempt", "rotation", "fieldsNotApplied"] {
        assert_eq!(
            names(&status[record]["properties"]),
            names(&complete_status()[record]),
            "{record}"
        );
    }
}
