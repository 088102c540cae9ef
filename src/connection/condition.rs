//! A connection's health as its condition, and as what its clients may do.

use std::sync::Arc;

use crate::state::connection_key::ConnectionKey;
use crate::state::connection_registry::Availability;
use crate::vendor::connection::VendorConnection;
use crate::vendor::health::Health;
use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::ConditionUpdate;

/// A condition `Ready=False`.
pub(super) fn not_ready(reason: Reason, message: impl Into<String>) -> ConditionUpdate {
    (ConditionStatus::False, reason, message.into())
}

/// The condition `Ready`. `throttled`: there was no permit for a probe, or the vendor limited it.
pub(super) fn condition(health: &Health, throttled: bool) -> ConditionUpdate {
    match health {
        Health::Ready => (
            ConditionStatus::True,
            Reason::Available,
            "The vendor responds and accepts the connection's credential".to_owned(),
        ),
        Health::Unverified(_) if throttled => (
            ConditionStatus::Unknown,
            Reason::VendorThrottled,
            "The vendor limits the rate of requests, so the connection is not verified yet. The operator retries with backoff"
                .to_owned(),
        ),
        Health::Unverified(found) => {
            let found = found
                .as_ref()
                .map(|found| format!(": {found}"))
                .unwrap_or_default();
            let message = format!(
                "spec.baseUrl: nothing has proven yet that the vendor's API responds here and accepts the credential{found}. \
                 If this stays, check the path of spec.baseUrl. The first client that is created or found proves it"
            );
            (ConditionStatus::Unknown, Reason::Unverified, message)
        }
        Health::CredentialsRejected(why) => not_ready(
            Reason::CredentialsRejected,
            format!(
                "spec.auth: {why}. Put a valid credential into its Secret; the operator uses it at once"
            ),
        ),
        Health::Unreachable(why) => not_ready(
            Reason::VendorUnavailable,
            format!("spec.baseUrl: {why}. The operator retries with backoff"),
        ),
        Health::UnexpectedResponse(why) | Health::UnexpectedCreateResponse(why) => not_ready(
            Reason::UnexpectedResponse,
            format!(
                "spec.baseUrl: {why}, which is not how the vendor's API responds. Check host and path of spec.baseUrl; the \
                 operator retries with backoff"
            ),
        ),
    }
}

/// What clients may do with the connection.
pub(super) fn availability(key: &ConnectionKey, connection: Arc<VendorConnection>) -> Availability {
    if connection.is_usable() {
        return Availability::Usable(connection);
    }
    let message = match connection.health() {
        Health::CredentialsRejected(_) => key.refused(),
        _ => key.not_ready(Reason::UnexpectedResponse),
    };
    Availability::Unusable(Reason::ConnectionNotReady, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_proof_is_ready_and_nothing_known_is_unknown() {
        let text = || "why".to_owned();
        for (health, status, reason) in [
            (Health::Ready, ConditionStatus::True, Reason::Available),
            (
                Health::Unverified(None),
                ConditionStatus::Unknown,
                Reason::Unverified,
            ),
            (
                Health::Unverified(Some(text())),
                ConditionStatus::Unknown,
                Reason::Unverified,
            ),
            (
                Health::CredentialsRejected(text()),
                ConditionStatus::False,
                Reason::CredentialsRejected,
            ),
            (
                Health::Unreachable(text()),
                ConditionStatus::False,
                Reason::VendorUnavailable,
            ),
            (
                Health::UnexpectedResponse(text()),
                ConditionStatus::False,
                Reason::UnexpectedResponse,
            ),
            (
                Health::UnexpectedCreateResponse(text()),
                ConditionStatus::False,
                Reason::UnexpectedResponse,
            ),
        ] {
            let condition = condition(&health, false);
            assert_eq!((condition.0, condition.1), (status, reason), "{health:?}");
        }
        // A limit changes nothing that is known.
        let throttled = |health| condition(&health, true);
        assert_eq!(throttled(Health::Ready).0, ConditionStatus::True);
        let unverified = throttled(Health::Unverified(None));
        assert_eq!(
            (unverified.0, unverified.1),
            (ConditionStatus::Unknown, Reason::VendorThrottled)
        );
    }
}
