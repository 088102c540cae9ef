//! The spec's stated fields against the vendor's client: what differs, and the requests that say it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use strum::EnumCount;

use crate::api::{OAuthClient, OAuthClientSpec};
use crate::vendor::types::{ClientRequest, FieldValue, VendorClient};

pub use crate::vendor::types::Field;

/// The fields that the spec states.
///
/// To add a field of the client: declare it in [`OAuthClientSpec`] and in [`Field`]. The compiler then asks for it here and
/// in [`create_request`], and everything else follows.
pub fn stated(spec: &OAuthClientSpec) -> impl Iterator<Item = (Field, FieldValue<'_>)> {
    let OAuthClientSpec {
        name,
        redirect_uris,
        allowed_scopes,
        token_lifetime_seconds,
        rate_limit_count,
        rate_limit_window_seconds,
        ip_restriction,
        allowed_ips,
        is_active,
        // How this cluster keeps the client; the vendor does not know these.
        connection_ref: _,
        secret: _,
        rotation: _,
        rollout_restart_targets: _,
        adoption: _,
        refresh_interval: _,
        drift_policy: _,
        deletion_policy: _,
        suspend: _,
    } = spec;
    let fields: [(Field, Option<FieldValue>); Field::COUNT] = [
        (Field::Name, value(name.as_ref())),
        (Field::RedirectUris, value(redirect_uris.as_ref())),
        (Field::AllowedScopes, Some(allowed_scopes.into())),
        (
            Field::TokenLifetimeSeconds,
            value(token_lifetime_seconds.as_ref()),
        ),
        (Field::RateLimitCount, value(rate_limit_count.as_ref())),
        (
            Field::RateLimitWindowSeconds,
            value(rate_limit_window_seconds.as_ref()),
        ),
        (Field::IpRestriction, value(ip_restriction.as_ref())),
        (Field::AllowedIps, value(allowed_ips.as_ref())),
        (Field::IsActive, value(is_active.as_ref())),
    ];
    fields
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
}

fn value<'a, T>(stated: Option<&'a T>) -> Option<FieldValue<'a>>
where
    FieldValue<'a>: From<&'a T>,
{
    stated.map(FieldValue::from)
}

/// Fields in which the vendor's client differs from what the spec states. A field the spec leaves out is not compared;
/// lists are compared as sets, numbers as numbers.
#[must_use]
pub fn differing(spec: &OAuthClientSpec, vendor: &VendorClient) -> Vec<Field> {
    let differs = |(field, stated): &(Field, FieldValue)| {
        let actual = vendor.fields.get(field);
        actual.is_none_or(|actual| !stated.is_equivalent(actual))
    };
    let differing = stated(spec).filter(differs);
    differing.map(|(field, _)| field).collect()
}

/// The create request of an object.
#[must_use]
pub fn create_request(object: &OAuthClient) -> ClientRequest<'_> {
    let stated: BTreeMap<_, _> = stated(&object.spec).collect();
    let value = |field: Field| {
        let stated = stated.get(&field).cloned();
        match field {
            Field::Name => stated.or_else(|| Some(FieldValue::Text(object.vendor_name().into()))),
            // The vendor requires the list; an empty one is allowed.
            Field::RedirectUris => stated.or(Some(FieldValue::List(Cow::Borrowed(&[])))),
            Field::AllowedScopes
            | Field::TokenLifetimeSeconds
            | Field::RateLimitCount
            | Field::RateLimitWindowSeconds
            | Field::IpRestriction
            | Field::AllowedIps => stated,
            // Not part of the vendor's create; an update sets it.
            Field::IsActive => None,
        }
    };
    let fields = Field::ALL.iter().copied();
    fields
        .filter_map(|field| Some((field, value(field)?)))
        .collect()
}

/// The update request that sets `fields` as the spec states them, and nothing else.
#[must_use]
pub fn update_request<'a>(spec: &'a OAuthClientSpec, fields: &[Field]) -> ClientRequest<'a> {
    stated(spec)
        .filter(|(field, _)| fields.contains(field))
        .collect()
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
