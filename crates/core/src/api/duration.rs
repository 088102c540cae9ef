//! Durations as they are written in a spec: `1h`, `90m`, `1h30m`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a duration: write whole hours, minutes and seconds, each at most once and in this order, such as 1h30m"
)]
pub struct DurationError {
    text: String,
}

/// Parses `<number>h<number>m<number>s`. Each part is optional, but at least one is required. The schema of each field holds its
/// bounds.
///
/// # Errors
/// The text is empty, has another unit or none, repeats a unit, has them in another order, or overflows.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    seconds(text)
        .map(Duration::from_secs)
        .ok_or_else(|| DurationError {
            text: text.to_owned(),
        })
}

fn seconds(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut sum = 0_u64;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        if unit >= last_unit {
            return None;
        }
        last_unit = unit;
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_hours_minutes_and_seconds() {
        for (text, expected) in [
            ("1h", 3600),
            ("90m", 5400),
            ("1h30m", 5400),
            ("720h", 2_592_000),
            ("1m1s", 61),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        for text in [
            "",
            "1",
            "h",
            "1d",
            "1h1h",
            "30m1h",
            "1.5h",
            "-1h",
            " 1h",
            "1h ",
            "1hé",
            "99999999999999999999h",
            "9999999999999999999h",
        ] {
            let message = parse_duration(text)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            assert!(message.contains("such as 1h30m"), "{text:?}: {message:?}");
        }
    }
}
