//! Publishes what a status write changed: events, log lines and metrics.

use provident_core::api::{self, ConditionType, EventReason, OAuthClientStatus, Reason};
use provident_core::plan::{ConnectionFacts, Facts};
use tracing::info;

use super::is_first_look;
use crate::cluster::events::EventType;
use crate::oauth_client::held::Held;
use crate::oauth_client::requeue::age;

pub(super) async fn announce(
    held: &Held,
    facts: &Facts,
    before: &OAuthClientStatus,
    after: &OAuthClientStatus,
) {
    let outcomes = &held.ctx.metrics.outcomes;
    let first_secret = before.secret_resource_version.is_none();
    if before.rotation.is_some() && after.rotation.is_none() {
        held.ctx.state.rotations.forget(&held.uid());
        outcomes.rotation("done");
        let note = format!(
            "Rotated the client secret; Secret {} holds the new one (revision {})",
            held.object.secret_name(),
            after.secret_revision.unwrap_or_default()
        );
        info!("Rotated client secret");
        held.event(EventReason::SecretRotated, &note).await;
    }
    if first_secret && is_ready(after) {
        outcomes.ready(age(&held.object));
    }
    let Some((reason, message)) = transition(before, after) else {
        return;
    };
    outcomes.reason_changed(reason);
    info!(%reason, detail = message, "Ready condition changed");
    // A client that is ready at the first look says so in status alone: an event is one more stored write.
    let as_expected = is_first_look(before) && is_ready(after);
    if !as_expected && !is_reported_by_connection(facts, reason) {
        let type_ = if is_ready(after) {
            EventType::Normal
        } else {
            EventType::Warning
        };
        held.condition_event(type_, reason, &message).await;
    }
}

// The connection has an event of its own: five thousand clients do not repeat it.
fn is_reported_by_connection(facts: &Facts, reason: Reason) -> bool {
    match &facts.connection {
        ConnectionFacts::Unusable(reported, _) => {
            *reported == reason && reason != Reason::ConnectionNotFound && !facts.deleting
        }
        ConnectionFacts::Usable | ConnectionFacts::Denied(_) => false,
    }
}

// A transition is published once: when the status or reason of Ready changes.
fn transition(before: &OAuthClientStatus, after: &OAuthClientStatus) -> Option<(Reason, String)> {
    let [old, new] =
        [before, after].map(|status| api::find(&status.conditions, ConditionType::Ready));
    let new = new?;
    let same = old.is_some_and(|old| (&old.status, &old.reason) == (&new.status, &new.reason));
    let reason = Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == new.reason)?;
    (!same).then(|| (*reason, new.message.clone()))
}

fn is_ready(status: &OAuthClientStatus) -> bool {
    api::find(&status.conditions, ConditionType::Ready).is_none_or(|ready| ready.status == "True")
}
