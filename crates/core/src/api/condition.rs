//! Conditions, as the Kubernetes API conventions define them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{Display, IntoStaticStr};

use super::{Reason, stored_time};

/// The longest message that Kubernetes' own conditions may have, in characters.
const MAX_MESSAGE: usize = 32_768;

/// The condition types of all kinds. A list holds each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, IntoStaticStr)]
pub enum ConditionType {
    /// The summary that tools wait for.
    Ready,
    /// The client at the vendor equals every field that the spec states.
    Synced,
    /// The Secret exists and holds the credentials of the last verification.
    SecretReady,
    /// True only while a person must act; absent otherwise.
    Stalled,
}

impl ConditionType {
    /// The `type` as it is written in status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, IntoStaticStr)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known, because the source of the answer is not available now.
    Unknown,
}

impl ConditionStatus {
    /// The `status` as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Sets one condition, in place if it is there.
///
/// `lastTransitionTime` becomes `now` only when `status` changes, so that setting what is already true changes
/// nothing and a settled object is not written again. A message that is too long for a condition is cut.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: impl Into<String>,
    generation: i64,
    now: Timestamp,
) {
    let unchanged_since = find(conditions, type_)
        .filter(|known| known.status == status.as_str())
        .map(|known| known.last_transition_time.clone());
    let condition = Condition {
        type_: type_.as_str().to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: cut(message.into()),
        observed_generation: Some(generation),
        last_transition_time: unchanged_since.unwrap_or_else(|| stored_time(now)),
    };
    match conditions.iter_mut().find(|c| c.type_ == type_.as_str()) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

/// Removes one condition, if it is there.
pub fn remove(conditions: &mut Vec<Condition>, type_: ConditionType) {
    conditions.retain(|c| c.type_ != type_.as_str());
}

/// The condition of one type, if it is there.
#[must_use]
pub fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == type_.as_str())
}

fn cut(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        let mut ready = |status, reason, now| {
            set(
                &mut conditions,
                ConditionType::Ready,
                status,
                reason,
                "",
                1,
                at(now),
            );
            conditions[0].clone()
        };
        assert_eq!(
            ready(ConditionStatus::False, Reason::Pending, 1)
                .last_transition_time
                .0,
            at(1)
        );
        let other_reason = ready(ConditionStatus::False, Reason::VendorUnavailable, 2);
        assert_eq!(other_reason.last_transition_time.0, at(1));
        assert_eq!(other_reason.reason, "VendorUnavailable");
        assert_eq!(
            ready(ConditionStatus::True, Reason::Available, 3)
                .last_transition_time
                .0,
            at(3)
        );
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let mut conditions = Vec::new();
        let long = "é".repeat(MAX_MESSAGE + 1);
        set(
            &mut conditions,
            ConditionType::Ready,
            ConditionStatus::False,
            Reason::Pending,
            long,
            1,
            at(1),
        );
        assert_eq!(conditions[0].message.chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn removing_leaves_the_others() {
        let mut conditions = Vec::new();
        for type_ in [ConditionType::Ready, ConditionType::Stalled] {
            set(
                &mut conditions,
                type_,
                ConditionStatus::True,
                Reason::Available,
                "",
                1,
                at(1),
            );
        }
        remove(&mut conditions, ConditionType::Stalled);
        assert!(find(&conditions, ConditionType::Stalled).is_none());
        assert!(find(&conditions, ConditionType::Ready).is_some());
    }
}
