//! When a secret is rotated, and how far a rotation got.
//!
//! A rotation cannot be repeated blindly, because the vendor replaces the secret each time. The operator therefore records
//! it before sending it, and what GET returns afterwards decides, never the answer to the rotation itself.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::facts::{Facts, Found};
use super::rules::is_suspended;
use super::step::Step;
use crate::api::{OAuthClientSpec, RotationSpec, RotationWindow, parse_duration};
use crate::vendor::types::ClientId;

/// Facts about the rotation of a client's secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// A requested rotation that was not acted on yet.
    pub requested: Option<Token>,
    /// Why a scheduled rotation does not start now.
    pub waiting: Option<Wait>,
    /// `status.rotation`.
    pub open: Option<Open>,
}

/// A request for one rotation. Each is acted on once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The annotation's value, or the due time of the schedule.
    pub text: String,
    /// Whether it comes from the schedule.
    pub scheduled: bool,
}

/// A rotation that is recorded and not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// The request.
    pub token: Token,
    /// What this process knows of it.
    pub state: RotationState,
}

/// What this process knows of a recorded rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RotationState {
    /// Recorded by this process, and not sent. `in_time` while the request may still be sent.
    Unsent {
        /// Whether the record is recent enough to send the request.
        in_time: bool,
    },
    /// Sent by this process, and known not to have been carried out.
    Refused,
    /// The vendor accepted it. GET will return the new secret eventually.
    Accepted,
    /// The vendor accepted it long ago, and GET still returns the previous secret.
    NotApplied,
    /// Sent by some process, and possibly still to be carried out.
    InProgress,
    /// Without effect for so long that it will not be carried out any more.
    Abandoned,
}

impl RotationState {
    /// Whether the vendor accepted the rotation, as the record in status says.
    #[must_use]
    pub fn was_accepted(self) -> bool {
        match self {
            Self::Accepted | Self::NotApplied => true,
            Self::Unsent { .. } | Self::Refused | Self::InProgress | Self::Abandoned => false,
        }
    }
}

/// Why a scheduled rotation does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Another scheduled rotation is running over this connection.
    Turn,
    /// The clocks of this host and of the API server differ, so what is due is uncertain.
    Clock,
    /// `spec.rotation` is not a valid schedule.
    Schedule,
}

/// There is no next rotation: the window's schedule is invalid or never fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.rotation: schedule is invalid or never fires")]
pub struct NoSchedule;

/// When the next rotation is due: `interval` after `since`, the last one, or when the window opens after that. While a
/// window is open this is the same time all the while, so that it can name one rotation; after it, the next window's.
///
/// # Errors
/// [`NoSchedule`].
pub fn next_rotation(
    rotation: &RotationSpec,
    since: Timestamp,
    now: Timestamp,
) -> Result<Timestamp, NoSchedule> {
    let interval = parse_duration(&rotation.interval).map_err(|_| NoSchedule)?;
    let due = since.checked_add(interval).map_err(|_| NoSchedule)?;
    let Some(window) = &rotation.window else {
        return Ok(due);
    };
    let length = parse_duration(&window.duration).map_err(|_| NoSchedule)?;
    let (cron, zone) = read(window)?;
    let at = due.max(now).to_zoned(zone);
    Ok(match opened(&cron, &at, length)? {
        Some(opening) => opening.max(due),
        None => opens(&cron, &at)?,
    })
}

// The opening of the window that is open at this time.
fn opened(cron: &Cron, at: &Zoned, length: Duration) -> Result<Option<Timestamp>, NoSchedule> {
    let Ok(opening) = cron.find_previous_occurrence(at, true) else {
        return Ok(None);
    };
    let opening = opening.timestamp();
    let closes = opening.checked_add(length).map_err(|_| NoSchedule)?;
    Ok((at.timestamp() < closes).then_some(opening))
}

fn opens(cron: &Cron, after: &Zoned) -> Result<Timestamp, NoSchedule> {
    let next = cron.find_next_occurrence(after, true);
    Ok(next.map_err(|_| NoSchedule)?.timestamp())
}

fn read(window: &RotationWindow) -> Result<(Cron, TimeZone), NoSchedule> {
    let cron = Cron::from_str(&window.schedule).map_err(|_| NoSchedule)?;
    let zone = window.time_zone.as_deref().unwrap_or("UTC");
    Ok((cron, TimeZone::get(zone).map_err(|_| NoSchedule)?))
}

/// The rotation that is requested now. The annotation takes precedence over the schedule. Neither requests again what was
/// acknowledged, or what is open and must not be sent again.
#[must_use]
pub fn requested_rotation(
    annotation: Option<&str>,
    acknowledged: Option<&str>,
    due: Option<Timestamp>,
    open: Option<&Open>,
) -> Option<Token> {
    let by_person = annotation
        .filter(|text| Some(*text) != acknowledged)
        .map(|text| Token {
            text: text.to_owned(),
            scheduled: false,
        });
    let by_schedule = due.map(|due| Token {
        text: due.to_string(),
        scheduled: true,
    });
    let is_new = |token: &Token| open.is_none_or(|open| open.token != *token);
    by_person.into_iter().chain(by_schedule).find(is_new)
}

/// The next step of a rotation, for a client whose Secret holds the right content.
pub(super) fn rotate(
    spec: &OAuthClientSpec,
    facts: &Facts,
    id: ClientId,
    found: &Found,
) -> Option<Step> {
    if facts.stopping || !found.credentials || is_suspended(spec) {
        return None;
    }
    let requested = facts.rotation.requested.clone();
    let token = match &facts.rotation.open {
        // Done; the report closes it. Another request starts over.
        Some(_) if found.rotated => return None,
        Some(open) => match open.state {
            RotationState::Unsent { in_time: true } => return Some(Step::Rotate(id)),
            RotationState::InProgress | RotationState::Accepted => return None,
            RotationState::NotApplied => requested?,
            RotationState::Unsent { in_time: false }
            | RotationState::Refused
            | RotationState::Abandoned => requested.unwrap_or_else(|| open.token.clone()),
        },
        None => requested?,
    };
    Some(if facts.preflight {
        Step::RecordRotation(token)
    } else {
        Step::Preflight
    })
}

/// An accepted rotation is reported as not applied when GET still returns the previous secret after this many times the wait
/// between the two GETs that prove an unanswered rotation abandoned.
pub const NOT_APPLIED_AFTER: u32 = 10;

/// The largest difference between our clock and the API server's at which a schedule is followed.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn spec(window: Option<(&str, &str, &str)>) -> RotationSpec {
        RotationSpec {
            interval: "720h".to_owned(),
            window: window.map(|(schedule, duration, zone)| RotationWindow {
                schedule: schedule.to_owned(),
                duration: duration.to_owned(),
                time_zone: Some(zone.to_owned()),
            }),
        }
    }

    #[test]
    fn without_a_window_a_secret_is_due_after_its_interval() {
        let since = at("2026-01-01T00:00:00Z");
        let due = at("2026-01-31T00:00:00Z");
        for now in ["2026-01-02T00:00:00Z", "2026-03-01T00:00:00Z"] {
            assert_eq!(next_rotation(&spec(None), since, at(now)), Ok(due));
        }
    }

    #[test]
    fn with_a_window_it_waits_for_it_in_its_own_time_zone_and_keeps_one_name_while_it_is_open() {
        // Sunday at 2 in Dubai is Saturday at 22 UTC; 2026-01-31 is a Saturday.
        let weekly = spec(Some(("0 2 * * 0", "2h", "Asia/Dubai")));
        let since = at("2026-01-01T00:00:00Z");
        let next = |now| next_rotation(&weekly, since, at(now)).unwrap();
        let first = at("2026-01-31T22:00:00Z");
        assert_eq!(next("2026-01-02T00:00:00Z"), first, "before it is due");
        assert_eq!(next("2026-01-31T12:00:00Z"), first, "due, and closed");
        assert_eq!(next("2026-01-31T22:00:00Z"), first, "just open");
        assert_eq!(next("2026-01-31T23:59:59Z"), first, "still open");
        assert_eq!(
            next("2026-02-01T00:00:00Z"),
            at("2026-02-07T22:00:00Z"),
            "missed"
        );
    }

    #[test]
    fn what_falls_due_in_an_open_window_is_due_at_once() {
        let daily = spec(Some(("0 2 * * *", "23h", "UTC")));
        let since = at("2026-01-01T12:00:00Z");
        assert_eq!(
            next_rotation(&daily, since, at("2026-01-02T00:00:00Z")),
            Ok(at("2026-01-31T12:00:00Z"))
        );
    }

    #[test]
    fn the_hour_that_summer_time_skips_does_not_lose_the_window() {
        // 2026-03-29 has no 02:30 in Berlin.
        let nightly = spec(Some(("30 2 * * *", "1h", "Europe/Berlin")));
        let next = next_rotation(
            &nightly,
            at("2026-02-27T00:30:00Z"),
            at("2026-03-29T00:30:00Z"),
        );
        assert_eq!(next, Ok(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn what_is_no_schedule_is_told_as_such() {
        for (schedule, zone) in [
            ("99 2 * * 0", "UTC"),
            ("0 2 31 2 *", "UTC"),
            ("0 2 * * *", "Mars/Phobos"),
        ] {
            let rotation = spec(Some((schedule, "1h", zone)));
            let since = at("2026-01-01T00:00:00Z");
            assert_eq!(
                next_rotation(&rotation, since, since),
                Err(NoSchedule),
                "{schedule} {zone}"
            );
        }
    }

    #[test]
    fn s32_a_token_asks_once_and_a_person_goes_before_the_schedule() {
        let due = at("2026-01-31T00:00:00Z");
        let text = |token: Option<Token>| token.map(|token| token.text);
        assert_eq!(
            text(requested_rotation(Some("1"), None, Some(due), None)).unwrap(),
            "1"
        );
        assert_eq!(requested_rotation(Some("1"), Some("1"), None, None), None);
        let scheduled = requested_rotation(Some("1"), Some("1"), Some(due), None).unwrap();
        assert!(scheduled.scheduled);
        let open = Open {
            token: Token {
                text: "2".to_owned(),
                scheduled: false,
            },
            state: RotationState::NotApplied,
        };
        assert_eq!(
            requested_rotation(Some("2"), Some("1"), None, Some(&open)),
            None
        );
        assert_eq!(
            text(requested_rotation(Some("3"), Some("1"), None, Some(&open))).unwrap(),
            "3"
        );
    }
}
