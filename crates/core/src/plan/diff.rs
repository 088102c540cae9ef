//! The spec's stated fields against the vendor's client: what differs, and the requests that say it.

use std::collections::BTreeSet;
use std::fmt;

use crate::api::{OAuthClient, OAuthClientSpec};
use crate::vendor::types::{CreateRequest, UpdateRequest, VendorClient};

/// A field of the client, as the spec names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// `name`
    Name,
    /// `redirectUris`
    RedirectUris,
    /// `allowedScopes`
    AllowedScopes,
    /// `tokenLifetimeSeconds`
    TokenLifetimeSeconds,
    /// `rateLimitCount`
    RateLimitCount,
    /// `rateLimitWindowSeconds`
    RateLimitWindowSeconds,
    /// `ipRestriction`
    IpRestriction,
    /// `allowedIps`
    AllowedIps,
    /// `isActive`
    IsActive,
}

impl Field {
    /// All fields.
    pub const ALL: [Self; 9] = [
        Self::Name,
        Self::RedirectUris,
        Self::AllowedScopes,
        Self::TokenLifetimeSeconds,
        Self::RateLimitCount,
        Self::RateLimitWindowSeconds,
        Self::IpRestriction,
        Self::AllowedIps,
        Self::IsActive,
    ];

    /// The name in the spec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::RedirectUris => "redirectUris",
            Self::AllowedScopes => "allowedScopes",
            Self::TokenLifetimeSeconds => "tokenLifetimeSeconds",
            Self::RateLimitCount => "rateLimitCount",
            Self::RateLimitWindowSeconds => "rateLimitWindowSeconds",
            Self::IpRestriction => "ipRestriction",
            Self::AllowedIps => "allowedIps",
            Self::IsActive => "isActive",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Fields in which the vendor's client differs from what the spec states. A field the spec leaves out is not compared;
/// lists are compared as sets, numbers as numbers.
#[must_use]
pub fn differing(spec: &OAuthClientSpec, vendor: &VendorClient) -> Vec<Field> {
    Field::ALL
        .into_iter()
        .filter(|field| match field {
            Field::Name => differs(spec.name.as_ref(), vendor.name.as_ref()),
            Field::RedirectUris => set_differs(
                spec.redirect_uris.as_deref(),
                vendor.redirect_uris.as_deref(),
            ),
            Field::AllowedScopes => {
                set_differs(Some(&spec.allowed_scopes), vendor.allowed_scopes.as_deref())
            }
            Field::TokenLifetimeSeconds => {
                number_differs(spec.token_lifetime_seconds, vendor.token_lifetime_seconds)
            }
            Field::RateLimitCount => number_differs(spec.rate_limit_count, vendor.rate_limit_count),
            Field::RateLimitWindowSeconds => number_differs(
                spec.rate_limit_window_seconds,
                vendor.rate_limit_window_seconds,
            ),
            Field::IpRestriction => {
                differs(spec.ip_restriction.as_ref(), vendor.ip_restriction.as_ref())
            }
            Field::AllowedIps => {
                set_differs(spec.allowed_ips.as_deref(), vendor.allowed_ips.as_deref())
            }
            Field::IsActive => differs(spec.is_active.as_ref(), vendor.is_active.as_ref()),
        })
        .collect()
}

fn differs<T: PartialEq>(stated: Option<&T>, actual: Option<&T>) -> bool {
    stated.is_some() && stated != actual
}

fn set_differs(stated: Option<&[String]>, actual: Option<&[String]>) -> bool {
    let differ = |stated: &[String], actual: &[String]| {
        stated.iter().collect::<BTreeSet<_>>() != actual.iter().collect::<BTreeSet<_>>()
    };
    stated.is_some_and(|stated| actual.is_none_or(|actual| differ(stated, actual)))
}

// 3600 and 3600.0 are one number; an i32 is exact as f64, so equality is meant.
#[allow(clippy::float_cmp)]
fn number_differs(stated: Option<i32>, actual: Option<f64>) -> bool {
    stated.is_some_and(|stated| actual != Some(f64::from(stated)))
}

/// The create request of an object.
#[must_use]
pub fn create_request(object: &OAuthClient) -> CreateRequest {
    let spec = &object.spec;
    CreateRequest {
        name: object.vendor_name(),
        redirect_uris: spec.redirect_uris.clone().unwrap_or_default(),
        allowed_scopes: spec.allowed_scopes.clone(),
        token_lifetime_seconds: spec.token_lifetime_seconds,
        rate_limit_count: spec.rate_limit_count,
        rate_limit_window_seconds: spec.rate_limit_window_seconds,
        ip_restriction: spec.ip_restriction,
        allowed_ips: spec.allowed_ips.clone(),
    }
}

/// The update request that sets `fields` as the spec states them, and nothing else.
#[must_use]
pub fn update_request(spec: &OAuthClientSpec, fields: &[Field]) -> UpdateRequest {
    let has = |field| fields.contains(&field);
    UpdateRequest {
        name: spec.name.clone().filter(|_| has(Field::Name)),
        redirect_uris: spec
            .redirect_uris
            .clone()
            .filter(|_| has(Field::RedirectUris)),
        allowed_scopes: has(Field::AllowedScopes).then(|| spec.allowed_scopes.clone()),
        is_active: spec.is_active.filter(|_| has(Field::IsActive)),
        token_lifetime_seconds: spec
            .token_lifetime_seconds
            .filter(|_| has(Field::TokenLifetimeSeconds)),
        rate_limit_count: spec.rate_limit_count.filter(|_| has(Field::RateLimitCount)),
        rate_limit_window_seconds: spec
            .rate_limit_window_seconds
            .filter(|_| has(Field::RateLimitWindowSeconds)),
        ip_restriction: spec.ip_restriction.filter(|_| has(Field::IpRestriction)),
        allowed_ips: spec.allowed_ips.clone().filter(|_| has(Field::AllowedIps)),
    }
}

/// The fields as a list for people: `redirectUris, allowedIps`.
#[must_use]
pub fn names(fields: &[Field]) -> String {
    fields
        .iter()
        .map(|f| f.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The fields of a list written by [`names`]; unknown words are passed over.
#[must_use]
pub fn parse_names(text: &str) -> Vec<Field> {
    text.split(", ")
        .filter_map(|word| Field::ALL.into_iter().find(|f| f.as_str() == word))
        .collect()
}
