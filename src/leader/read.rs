//! Reading the Lease. Its times are for people: one that cannot be decoded must not end the election.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::DynamicObject;
use kube::core::ApiResource;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;

pub(super) fn api(client: Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &ApiResource::erase::<Lease>(&()))
}

pub(super) async fn lease(
    api: &Api<DynamicObject>,
    name: &str,
) -> Result<Option<Lease>, kube::Error> {
    Ok(api.get_opt(name).await?.map(decode))
}

// A spec that cannot be decoded at all names no holder, so the Lease is free.
fn decode(mut object: DynamicObject) -> Lease {
    let spec = &mut object.data["spec"];
    for time in ["acquireTime", "renewTime"] {
        if let Some(value) = spec.get_mut(time)
            && MicroTime::deserialize(&*value).is_err()
        {
            *value = Value::Null;
        }
    }
    Lease {
        metadata: object.metadata,
        spec: LeaseSpec::deserialize(&*spec).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(spec: &Value) -> Option<LeaseSpec> {
        let object = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "a", "resourceVersion": "7" }, "spec": spec });
        let lease = decode(serde_json::from_value(object).unwrap());
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"));
        lease.spec
    }

    #[test]
    fn a_time_that_cannot_be_decoded_is_left_out() {
        let late = "9999-12-31T23:59:59.999999Z";
        let spec = decoded(
            &json!({ "holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 2,
            "acquireTime": late, "renewTime": late }),
        )
        .unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("a"));
        assert_eq!(
            (spec.lease_duration_seconds, spec.lease_transitions),
            (Some(15), Some(2))
        );
        assert_eq!((spec.acquire_time, spec.renew_time), (None, None));
        let time = "2026-11-24T10:00:00.000000Z";
        let spec = decoded(&json!({ "acquireTime": time, "renewTime": late })).unwrap();
        assert!(spec.acquire_time.is_some() && spec.renew_time.is_none());
    }

    #[test]
    fn a_spec_that_is_none_names_no_holder() {
        assert_eq!(decoded(&Value::Null), None);
        assert_eq!(decoded(&json!({ "leaseDurationSeconds": "long" })), None);
    }
}
