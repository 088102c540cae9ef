//! When a secret is rotated, and how far a rotation got.
//!
//! A rotation cannot be repeated blindly: the vendor replaces the secret each time. So it is recorded before it is sent,
//! and what GET answers afterwards decides, never the answer to the rotation itself.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use super::facts::{Facts, Found};
use super::next::is_true;
use super::step::Step;
use crate::api::{OAuthClientSpec, RotationSpec, RotationWindow, parse_duration};
use crate::vendor::types::ClientId;

/// What is asked of a client's secret beyond keeping it, and what is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// What asks for a rotation and was not acted on yet.
    pub asked: Option<Token>,
    /// Why what the schedule asks for does not begin now.
    pub waits: Option<Wait>,
    /// `status.rotation`.
    pub open: Option<Open>,
}

/// What asks for one rotation. Each is obeyed once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The annotation's value, or the due time of the schedule.
    pub text: String,
    /// Whether the schedule asks.
    pub scheduled: bool,
}

/// A rotation that is recorded and not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// What asked for it.
    pub token: Token,
    /// What this process knows of it.
    pub state: RotationState,
}

/// What this process knows of a recorded rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RotationState {
    /// Ours, and not sent. `in_time` while its first byte can still leave soon after the record.
    Unsent {
        /// Whether it may still be sent.
        in_time: bool,
    },
    /// Ours, and known not to have been carried out.
    Refused,
    /// The vendor has said that it rotated. GET will show it in the end.
    Accepted,
    /// The vendor has said so long ago, and GET still answers the former secret.
    NotApplied,
    /// RotationState by somebody, and it may still be carried out.
    InProgress,
    /// Facts for so long without effect that it will not be carried out any more.
    Abandoned,
}

/// Why a scheduled rotation does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Another scheduled rotation runs over this connection.
    Turn,
    /// This host's clock and the API server's differ, so that what is due is not known.
    Clock,
    /// `spec.rotation` cannot be read as a schedule.
    Schedule,
}

/// Why there is no next rotation: the window's schedule has no further time, or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.rotation: not a schedule, or one that never comes")]
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
    let at = due.max(now);
    Ok(match opened(window, at)? {
        Some(opening) => opening.max(due),
        None => opens(window, at)?,
    })
}

// The opening of the window that is open at this time.
fn opened(window: &RotationWindow, at: Timestamp) -> Result<Option<Timestamp>, NoSchedule> {
    let length = parse_duration(&window.duration).map_err(|_| NoSchedule)?;
    let (cron, zone) = read(window)?;
    let Ok(opening) = cron.find_previous_occurrence(&at.to_zoned(zone), true) else {
        return Ok(None);
    };
    let opening = opening.timestamp();
    let closes = opening.checked_add(length).map_err(|_| NoSchedule)?;
    Ok((at < closes).then_some(opening))
}

fn opens(window: &RotationWindow, after: Timestamp) -> Result<Timestamp, NoSchedule> {
    let (cron, zone) = read(window)?;
    let next = cron.find_next_occurrence(&after.to_zoned(zone), true);
    Ok(next.map_err(|_| NoSchedule)?.timestamp())
}

fn read(window: &RotationWindow) -> Result<(Cron, TimeZone), NoSchedule> {
    let cron = Cron::from_str(&window.schedule).map_err(|_| NoSchedule)?;
    let zone = window.time_zone.as_deref().unwrap_or("UTC");
    Ok((cron, TimeZone::get(zone).map_err(|_| NoSchedule)?))
}

/// What asks for a rotation now. The annotation goes before the schedule, and neither asks again for what was handled,
/// or is open and not to be sent again.
#[must_use]
pub fn asked(
    annotation: Option<&str>,
    handled: Option<&str>,
    due: Option<Timestamp>,
    open: Option<&Open>,
) -> Option<Token> {
    let by_person = annotation
        .filter(|text| Some(*text) != handled)
        .map(|text| Token {
            text: text.to_owned(),
            scheduled: false,
        });
    let by_schedule = due.map(|due| Token {
        text: due.to_string(),
        scheduled: true,
    });
    let news = |token: &Token| open.is_none_or(|open| open.token != *token);
    by_person.into_iter().chain(by_schedule).find(news)
}

/// The next step of a rotation, for a client whose Secret is as it should be.
pub(super) fn rotate(
    spec: &OAuthClientSpec,
    facts: &Facts,
    id: ClientId,
    found: &Found,
) -> Option<Step> {
    if facts.stopping || !found.credentials || is_true(spec.suspend) {
        return None;
    }
    let asked = facts.rotation.asked.clone();
    let token = match &facts.rotation.open {
        // Done; the report closes it. What else is asked for begins anew.
        Some(_) if found.rotated => return None,
        Some(open) => match open.state {
            RotationState::Unsent { in_time: true } => return Some(Step::Rotate(id)),
            RotationState::InProgress | RotationState::Accepted => return None,
            RotationState::NotApplied => asked?,
            RotationState::Unsent { in_time: false }
            | RotationState::Refused
            | RotationState::Abandoned => asked.unwrap_or_else(|| open.token.clone()),
        },
        None => asked?,
    };
    Some(if facts.preflight {
        Step::RecordRotation(token)
    } else {
        Step::Preflight
    })
}

/// How long after the record GET must still answer the former secret until `NotApplied` is told, in units of the wait
/// between the two GETs.
pub const NOT_APPLIED_AFTER: u32 = 10;

/// The longest that our clock and the API server's may differ for a schedule to be obeyed.
pub const CLOCKS_WITHIN: Duration = Duration::from_mins(5);

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
        assert_eq!(text(asked(Some("1"), None, Some(due), None)).unwrap(), "1");
        assert_eq!(asked(Some("1"), Some("1"), None, None), None);
        let scheduled = asked(Some("1"), Some("1"), Some(due), None).unwrap();
        assert!(scheduled.scheduled);
        let open = Open {
            token: Token {
                text: "2".to_owned(),
                scheduled: false,
            },
            state: RotationState::NotApplied,
        };
        assert_eq!(asked(Some("2"), Some("1"), None, Some(&open)), None);
        assert_eq!(
            text(asked(Some("3"), Some("1"), None, Some(&open))).unwrap(),
            "3"
        );
    }
}
