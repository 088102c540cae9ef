//! What the schema cannot check, because CEL knows neither cron nor the size of what a template becomes.

use std::str::FromStr;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};
use url::Url;

use super::{OAuthClientSpec, RotationWindow, SecretTemplate, parse_duration};
use crate::vendor::types::MAX_CLIENT_SECRET;

/// The API server refuses a Secret with more data than this.
const MAX_SECRET_BYTES: usize = 1024 * 1024;

/// A field of a spec that the operator cannot use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The path of the field, such as `spec.rotation.window.schedule`.
    pub field: String,
    /// What is wrong with it and what to write instead.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// All fields of a spec that the API server accepts and the operator cannot use, in the order of the spec.
#[must_use]
pub fn validate(spec: &OAuthClientSpec) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, uri) in spec.redirect_uris.iter().flatten().enumerate() {
        if let Err(error) = Url::parse(uri) {
            let field = format!("spec.redirectUris[{index}]");
            errors.push(FieldError::new(
                field,
                format!("is not a valid URI: {error}"),
            ));
        }
    }
    if let Some(secret) = &spec.secret {
        errors.extend(too_large(secret));
    }
    if let Some(rotation) = &spec.rotation {
        errors.extend(duration("spec.rotation.interval", &rotation.interval));
        errors.extend(rotation.window.iter().flat_map(window));
    }
    errors.extend(duration("spec.refreshInterval", &spec.refresh_interval));
    errors
}

fn duration(field: &str, text: &str) -> Option<FieldError> {
    let error = parse_duration(text).err()?;
    Some(FieldError::new(field, error.to_string()))
}

fn window(window: &RotationWindow) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let schedule = "spec.rotation.window.schedule";
    match Cron::from_str(&window.schedule) {
        Err(error) => {
            let message = format!("is not a cron expression of five fields: {error}");
            errors.push(FieldError::new(schedule, message));
        }
        // A schedule opens after this date or never, as months and leap years repeat. So no clock is needed.
        Ok(cron)
            if cron
                .find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC), true)
                .is_err() =>
        {
            let message = "never opens: no month that it names has that day";
            errors.push(FieldError::new(schedule, message));
        }
        Ok(_) => {}
    }
    errors.extend(duration("spec.rotation.window.duration", &window.duration));
    if let Some(zone) = &window.time_zone
        && TimeZone::get(zone).is_err()
    {
        let message = format!(
            "{zone:?} is not in the operator's IANA time zone database; write a name such as Asia/Dubai"
        );
        errors.push(FieldError::new("spec.rotation.window.timeZone", message));
    }
    errors
}

// A template may name the secret often, and the vendor may make it long.
fn too_large(secret: &SecretTemplate) -> Option<FieldError> {
    let largest = |template: &String| {
        let plain = template.matches("$(clientSecret)").count();
        let quoted = template.matches("$(clientSecret:json)").count();
        template.len() + (plain + 2 * quoted) * MAX_CLIENT_SECRET
    };
    let templates = secret.string_data.as_ref()?.values();
    let message = "with a client secret of the greatest length this is more than a Secret can hold (1 MiB); use $(clientSecret) \
                   less often";
    (templates.map(largest).sum::<usize>() > MAX_SECRET_BYTES)
        .then(|| FieldError::new("spec.secret.stringData", message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(changes: &Value) -> Vec<String> {
        let mut spec = json!({ "allowedScopes": ["a"] });
        for (field, value) in changes.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let errors = validate(&serde_json::from_value(spec).unwrap());
        errors.into_iter().map(|error| error.field).collect()
    }

    fn with_window(schedule: &str, duration: &str, zone: &str) -> Value {
        let window = json!({ "schedule": schedule, "duration": duration, "timeZone": zone });
        json!({ "rotation": { "interval": "720h", "window": window } })
    }

    #[test]
    fn what_the_operator_can_use_has_no_errors() {
        for spec in [
            json!({}),
            with_window("0 2 * * 0", "2h", "Asia/Dubai"),
            with_window("0 2 29 2 *", "1h30m", "UTC"),
            with_window("*/15 0-6 1,15 jan-jun mon#1", "90m", "Europe/Zurich"),
            json!({ "redirectUris": ["https://a.example:8443/cb?x=1", "http://[::1]:8080/", "com.example.app:/cb"] }),
            json!({ "secret": { "stringData": { "a": "$(clientSecret)".repeat(100) } } }),
        ] {
            assert_eq!(fields(&spec), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn an_error_names_the_field_at_fault() {
        let window = "spec.rotation.window";
        for (spec, field) in [
            (
                with_window("99 99 * * *", "1h", "UTC"),
                format!("{window}.schedule"),
            ),
            (
                with_window("0 2 31 2 *", "1h", "UTC"),
                format!("{window}.schedule"),
            ),
            (
                with_window("0 2 31 4,6,9,11 *", "1h", "UTC"),
                format!("{window}.schedule"),
            ),
            (
                with_window("0 2 * * 0", "1h1h", "UTC"),
                format!("{window}.duration"),
            ),
            (
                with_window("0 2 * * 0", "1h", "+04:00"),
                format!("{window}.timeZone"),
            ),
            (
                with_window("0 2 * * 0", "1h", "Mars/Phobos"),
                format!("{window}.timeZone"),
            ),
            (
                json!({ "refreshInterval": "1h1h" }),
                "spec.refreshInterval".to_owned(),
            ),
            (
                json!({ "redirectUris": ["https://ok.example", "https://256.1.1.1/"] }),
                "spec.redirectUris[1]".to_owned(),
            ),
            (
                json!({ "secret": { "stringData": { "a": "$(clientSecret)".repeat(257) } } }),
                "spec.secret.stringData".to_owned(),
            ),
        ] {
            assert_eq!(fields(&spec), [field], "{spec}");
        }
    }
}
