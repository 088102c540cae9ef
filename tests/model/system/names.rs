//! Translates the numbers of the model to the values of the program, and back.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use provident_core::api::OAuthClientSpec;
use provident_core::plan::AttemptId;
use provident_core::vendor::types::{ClientId, Field, FieldValue, VendorClient};

use super::object::Spec;
use super::world::{AttemptNo, ClientNo};

/// An attempt's id.
pub fn attempt_id(id: AttemptNo) -> AttemptId {
    AttemptId(format!("a{id}"))
}

/// The number of an attempt.
pub fn attempt_no(id: &AttemptId) -> AttemptNo {
    id.0[1..].parse().expect("an id made by attempt_id")
}

/// A clientId.
pub fn client_id(client: ClientNo) -> ClientId {
    ClientId::parse(&format!("c{client}")).expect("a valid clientId")
}

/// The number of a client.
pub fn client_no(id: &ClientId) -> ClientNo {
    id.as_str()[1..].parse().expect("an id made by client_id")
}

/// The spec.
pub fn declared(spec: Spec) -> &'static OAuthClientSpec {
    static ALL: LazyLock<Vec<OAuthClientSpec>> = LazyLock::new(|| (0..24).map(written).collect());
    let active = match spec.active {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    };
    let flags = [spec.retain, spec.suspend, spec.adoption.is_some()];
    let index = flags
        .into_iter()
        .fold(active, |index, flag| 2 * index + usize::from(flag));
    &ALL[index]
}

fn written(index: usize) -> OAuthClientSpec {
    let adoption = serde_json::json!({
        "clientId": "c1",
        "secretKeyRef": { "name": "proof", "key": "secret" },
    });
    let active = [None, Some(false), Some(true)][index / 8];
    let spec = serde_json::json!({
        "allowedScopes": ["listings:read"],
        "isActive": active,
        "deletionPolicy": if index & 4 == 4 { "Retain" } else { "Deactivate" },
        "suspend": index & 2 == 2,
        "adoption": (index & 1 == 1).then_some(adoption),
    });
    serde_json::from_value(spec).expect("a valid spec")
}

/// A client as the vendor returns it.
pub fn returned(active: bool) -> VendorClient {
    VendorClient {
        fields: BTreeMap::from([
            (
                Field::AllowedScopes,
                FieldValue::List(vec!["listings:read".to_owned()].into()),
            ),
            (Field::IsActive, FieldValue::Flag(active)),
        ]),
        ..VendorClient::default()
    }
}
