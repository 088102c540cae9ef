//! What a client and its Secret must be like when their object says Ready.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use provident_core::api::{DriftPolicy, MANAGED_LABEL, MANAGER, OAuthClient};
use provident_emulator::StoredClient;

/// What of an object that says Ready is not so. Under `driftPolicy: Report` only its Secret counts.
pub fn difference(
    object: &OAuthClient,
    vendor: &StoredClient,
    secret: &Secret,
    token_url: &str,
) -> Option<&'static str> {
    let reports = object.spec.drift_policy == DriftPolicy::Report;
    let client = differing_field(object, vendor).filter(|_| !reports);
    client.or_else(|| wrong_on_secret(object, vendor, secret, token_url))
}

/// The first stated field in which the vendor's client differs.
pub fn differing_field(object: &OAuthClient, vendor: &StoredClient) -> Option<&'static str> {
    let spec = &object.spec;
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
    let lists = |stated: Option<&Vec<String>>, actual| stated.is_none_or(|s| set(s) == set(actual));
    let number = |stated: Option<i32>, actual: u64| {
        stated.is_none_or(|stated| u64::try_from(stated) == Ok(actual))
    };
    let equal = [
        ("name", spec.name.as_ref().is_none_or(|n| *n == vendor.name)),
        (
            "redirectUris",
            lists(spec.redirect_uris.as_ref(), &vendor.redirect_uris),
        ),
        (
            "allowedScopes",
            lists(Some(&spec.allowed_scopes), &vendor.allowed_scopes),
        ),
        (
            "tokenLifetimeSeconds",
            number(spec.token_lifetime_seconds, vendor.token_lifetime_seconds),
        ),
        (
            "rateLimitCount",
            number(spec.rate_limit_count, vendor.rate_limit_count),
        ),
        (
            "rateLimitWindowSeconds",
            number(
                spec.rate_limit_window_seconds,
                vendor.rate_limit_window_seconds,
            ),
        ),
        (
            "ipRestriction",
            spec.ip_restriction
                .is_none_or(|on| on == vendor.ip_restriction),
        ),
        (
            "allowedIps",
            lists(spec.allowed_ips.as_ref(), &vendor.allowed_ips),
        ),
        // A silent spec wants it active too.
        (
            "isActive",
            vendor.is_active == spec.is_active.unwrap_or(true),
        ),
    ];
    first_wrong(&equal)
}

/// What of the Secret is not as declared: data, labels, annotations, owner. What others put there does not count.
pub fn wrong_on_secret(
    object: &OAuthClient,
    vendor: &StoredClient,
    secret: &Secret,
    token_url: &str,
) -> Option<&'static str> {
    let template = object.spec.secret.clone().unwrap_or_default();
    let data = secret.data.clone().unwrap_or_default();
    let holds = |(key, template): (&String, &String)| {
        let wanted = expanded(template, vendor, token_url);
        data.get(key)
            .is_some_and(|bytes| bytes.0 == wanted.as_bytes())
    };
    let has = |all: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
        wanted
            .iter()
            .all(|(key, value)| all.get(key) == Some(value))
    };
    let owners: Vec<_> = secret.owner_references().iter().map(|o| &o.uid).collect();
    let right = [
        ("the Secret's data", string_data(object).iter().all(holds)),
        (
            "the Secret's labels",
            has(secret.labels(), &template.labels)
                && secret.labels().get(MANAGED_LABEL).map(String::as_str) == Some(MANAGER),
        ),
        (
            "the Secret's annotations",
            has(secret.annotations(), &template.annotations),
        ),
        (
            "the Secret's owner",
            owners.contains(&&object.uid().unwrap()),
        ),
        (
            "the Secret's type",
            secret.type_.as_deref() == Some("Opaque"),
        ),
    ];
    first_wrong(&right)
}

/// The keys that the Secret must have, and their templates.
pub fn string_data(object: &OAuthClient) -> BTreeMap<String, String> {
    let stated = object
        .spec
        .secret
        .as_ref()
        .and_then(|s| s.string_data.clone());
    stated.unwrap_or_else(|| {
        let names = ["clientId", "clientSecret", "tokenUrl"].into_iter();
        names
            .map(|name| (name.to_owned(), format!("$({name})")))
            .collect()
    })
}

// As the documentation describes it, without the operator's own code.
fn expanded(template: &str, vendor: &StoredClient, token_url: &str) -> String {
    let literal = "\u{0}";
    template
        .replace("$$(", literal)
        .replace("$(clientId)", &vendor.client_id)
        .replace("$(clientSecret)", &vendor.client_secret)
        .replace("$(tokenUrl)", token_url)
        .replace(literal, "$(")
}

fn first_wrong(facts: &[(&'static str, bool)]) -> Option<&'static str> {
    let wrong = facts.iter().find(|(_, holds)| !holds);
    wrong.map(|(what, _)| *what)
}
