//! The client's fields: the one list from which requests, answers and differences are derived.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Number;
use strum::{Display, EnumCount, EnumString, IntoStaticStr, VariantArray};

/// A field of the client, spelled as the vendor's requests and `OAuthClient` spell it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Display,
    EnumCount,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "camelCase")]
pub enum Field {
    /// Display name at the vendor.
    Name,
    /// Redirect URIs; a create needs them, an empty list is allowed.
    RedirectUris,
    /// Scopes that the client may request.
    AllowedScopes,
    /// Seconds; 0 means tokens that never expire.
    TokenLifetimeSeconds,
    /// Requests per window; 0 is unlimited.
    RateLimitCount,
    /// Seconds.
    RateLimitWindowSeconds,
    /// Whether `allowedIps` is enforced.
    IpRestriction,
    /// Addresses or CIDRs.
    AllowedIps,
    /// `false` disables the client. The vendor takes it on update only.
    IsActive,
}

impl Field {
    /// All fields.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name in the spec and in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The name in answers, if the vendor spells it differently there (API document).
    pub(super) fn answer_alias(self) -> Option<&'static str> {
        (self == Self::IpRestriction).then_some("ip_restriction")
    }
}

/// The value of a field, as the spec states it or an answer holds it.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum FieldValue<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A list of strings, in which order and repetition mean nothing.
    List(Cow<'a, [String]>),
    /// A number. Answers may hold `3600.0` for 3600.
    Number(Number),
    /// A boolean.
    Flag(bool),
}

impl FieldValue<'_> {
    /// Whether both mean the same to the vendor: lists are compared as sets, numbers by their value.
    #[must_use]
    pub fn is_equivalent(&self, other: &FieldValue<'_>) -> bool {
        match (self, other) {
            (Self::Text(one), FieldValue::Text(other)) => one == other,
            (Self::List(one), FieldValue::List(other)) => {
                one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
            }
            (Self::Number(one), FieldValue::Number(other)) => one.as_f64() == other.as_f64(),
            (Self::Flag(one), FieldValue::Flag(other)) => one == other,
            _ => false,
        }
    }
}

impl<'a> From<&'a String> for FieldValue<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a Vec<String>> for FieldValue<'a> {
    fn from(list: &'a Vec<String>) -> Self {
        Self::List(list.into())
    }
}

impl From<&i32> for FieldValue<'_> {
    fn from(number: &i32) -> Self {
        Self::Number((*number).into())
    }
}

impl From<&bool> for FieldValue<'_> {
    fn from(flag: &bool) -> Self {
        Self::Flag(*flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_as_the_vendor_means_them() {
        let list = |items: &[&str]| {
            FieldValue::List(
                items
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .into(),
            )
        };
        let number = |text: &str| FieldValue::Number(serde_json::from_str(text).unwrap());
        for (one, other, equivalent) in [
            (list(&["a", "b"]), list(&["b", "a", "a"]), true),
            (list(&["a"]), list(&["a", "b"]), false),
            (number("3600"), number("3600.0"), true),
            (number("3600"), number("3600.5"), false),
            (FieldValue::Flag(true), FieldValue::Flag(true), true),
            (
                FieldValue::Flag(true),
                FieldValue::Text("true".into()),
                false,
            ),
        ] {
            assert_eq!(one.is_equivalent(&other), equivalent, "{one:?} {other:?}");
        }
    }
}
