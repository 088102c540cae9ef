//! What a connection's spec stands for: a host that is allowed, a credential that is there, authorities to trust.

use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use secrecy::SecretString;

use crate::config::Config;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::Error;
use crate::state::connection_registry::ConnectionKey;
use crate::vendor::call::CallObserver;
use crate::vendor::client::ClientError;
use crate::vendor::connection::{AccountConfig, VendorConnection};
use crate::vendor::http::{NetworkPolicy, SetupError};
use crate::vendor::token::Credential;
use provident_core::api::{
    ConditionStatus, ConnectionAuth, ConnectionKind, ConnectionStatus, Reason,
};
use provident_core::binding::BindingKey;
use provident_core::plan::ConditionUpdate;

/// The host that a URL names, as the allow list writes it: `host`, `host:port`, and `http://` before it for plain HTTP.
/// `None` for a URL that cannot be used: not http or https, with credentials, a query or a fragment in it.
#[must_use]
pub fn listed_host(base_url: &str) -> Option<String> {
    let url = url::Url::parse(base_url).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|_| bare)?;
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    match url.scheme() {
        "https" => Some(format!("{host}{port}")),
        "http" => Some(format!("http://{host}{port}")),
        _ => None,
    }
}

pub(crate) fn bad(reason: Reason, message: impl Into<String>) -> ConditionUpdate {
    (ConditionStatus::False, reason, message.into())
}

/// Where the Secret and the `ConfigMap` of a connection are: beside a namespaced one, beside the operator for a cluster's.
pub(crate) fn home<'a>(key: &'a ConnectionKey, config: &'a Config) -> &'a str {
    match key.kind {
        ConnectionKind::ClusterProvidentConnection => &config.namespace,
        ConnectionKind::ProvidentConnection => &key.namespace,
    }
}

// What the connection is to be used with; the former one if nothing about it changed, with its limits and its breaker.
pub(crate) async fn resolve<K: AnyConnection>(
    object: &K,
    ctx: &Context,
    key: &BindingKey,
    status: &ConnectionStatus,
) -> Result<Result<Arc<VendorConnection>, ConditionUpdate>, Error> {
    let spec = object.account();
    if spec.suspend == Some(true) {
        return Ok(Err(bad(
            Reason::Suspended,
            "spec.suspend is true: no vendor call is made; set it to false to go on",
        )));
    }
    let base_url = spec.base_url.trim_end_matches('/');
    let internal = match host(base_url, &ctx.config) {
        Ok(internal) => internal,
        Err(message) => return Ok(Err(bad(Reason::HostNotAllowed, message))),
    };
    let this = object.key();
    let missing = |message| Ok(Err(bad(Reason::CredentialsNotFound, message)));
    let credential = match credential(&spec.auth, &this, ctx).await? {
        Ok(credential) => credential,
        Err(message) => return missing(message),
    };
    let authorities = match authorities(object, &this, ctx).await? {
        Ok(authorities) => authorities,
        Err(message) => return missing(message),
    };
    let setup = AccountConfig {
        base_url: base_url.to_owned(),
        fingerprint: key.fingerprint(base_url, &credential.parts()),
        credential,
        network: NetworkPolicy {
            authorities,
            internal,
            proxy: ctx.config.proxy_from_env,
        },
        per_second: u32::try_from(spec.requests_per_second)
            .ok()
            .and_then(NonZeroU32::new)
            .unwrap_or(NonZeroU32::MIN),
        observer: observer(ctx),
    };
    let last = ctx
        .connections
        .get(&this)
        .and_then(|entry| entry.last.clone());
    if let Some(known) = last.as_ref().filter(|known| known.is_of(&setup)) {
        return Ok(Ok(Arc::clone(known)));
    }
    let former = last.filter(|last| last.fingerprint == setup.fingerprint);
    let proven = status.verified_account_hash.as_ref() == Some(&setup.fingerprint);
    let made = VendorConnection::new(setup, proven, former.as_deref());
    Ok(made.map(Arc::new).map_err(|error| {
        let field = match &error {
            ClientError::Token => "spec.auth",
            ClientError::Setup(SetupError::Authorities) => "spec.caConfigMapRef",
            ClientError::Setup(SetupError::Tls(_)) => "spec.baseUrl",
        };
        bad(Reason::CredentialsRejected, format!("{field}: {error}"))
    }))
}

fn observer(ctx: &Context) -> CallObserver {
    let vendor = ctx.metrics.vendor.clone();
    Arc::new(move |operation, code, took| vendor.asked(operation, code, took))
}

// Whether the host is one that may stand for an internal address, or why it may not be called at all.
fn host(base_url: &str, config: &Config) -> Result<bool, String> {
    let Some(host) = listed_host(base_url) else {
        return Err(
            "spec.baseUrl: must be a plain https URL, without credentials or query".to_owned(),
        );
    };
    let lists = |list: &[String]| {
        list.iter()
            .any(|allowed| allowed.trim_end_matches('/') == host)
    };
    let internal = lists(&config.internal_hosts);
    if internal || lists(&config.allowed_hosts) {
        return Ok(internal);
    }
    Err(format!(
        "spec.baseUrl: the operator may not call {host}. Start it with --allowed-host {host}"
    ))
}

async fn credential(
    auth: &ConnectionAuth,
    this: &ConnectionKey,
    ctx: &Context,
) -> Result<Result<Credential, String>, Error> {
    let namespace = home(this, &ctx.config);
    let (field, name, keys) = match (&auth.token_secret_ref, &auth.client_credentials_secret_ref) {
        (Some(token), None) => (
            "spec.auth.tokenSecretRef",
            &token.name,
            vec![token.key.as_str()],
        ),
        (None, Some(client)) => (
            "spec.auth.clientCredentialsSecretRef",
            &client.name,
            vec!["clientId", "clientSecret"],
        ),
        _ => {
            let message =
                "spec.auth: needs exactly one of tokenSecretRef and clientCredentialsSecretRef";
            return Ok(Err(message.to_owned()));
        }
    };
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let Some(secret) = secrets.get_opt(name).await? else {
        let literals: Vec<String> = keys
            .iter()
            .map(|key| format!("--from-literal={key}=<{key}>"))
            .collect();
        return Ok(Err(format!(
            "{field}: there is no Secret {name} in namespace {namespace}. \
             Create it: kubectl create secret generic {name} -n {namespace} {}",
            literals.join(" ")
        )));
    };
    let mut values = Vec::new();
    for key in &keys {
        let bytes = secret.data.as_ref().and_then(|data| data.get(*key));
        let text = bytes
            .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
            .map(str::trim)
            .unwrap_or_default();
        // RFC 6749 appendix A and RFC 6750 section 2.1 have no other characters.
        if text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Ok(Err(format!(
                "{field}: Secret {name} in namespace {namespace} has nothing usable under key {key}. Put the {} there, in printable ASCII",
                if keys.len() == 1 { "token" } else { key }
            )));
        }
        values.push(text);
    }
    Ok(Ok(match values.as_slice() {
        [id, secret] => Credential::Client {
            id: (*id).to_owned(),
            secret: SecretString::from(*secret),
        },
        values => Credential::Token(SecretString::from(values.concat())),
    }))
}

async fn authorities<K: AnyConnection>(
    object: &K,
    this: &ConnectionKey,
    ctx: &Context,
) -> Result<Result<Option<String>, String>, Error> {
    let Some(wanted) = &object.account().ca_config_map_ref else {
        return Ok(Ok(None));
    };
    let namespace = home(this, &ctx.config);
    let maps: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace);
    let (name, key) = (&wanted.name, &wanted.key);
    let Some(map) = maps.get_opt(name).await? else {
        return Ok(Err(format!(
            "spec.caConfigMapRef: there is no ConfigMap {name} in namespace {namespace}. \
             Create it: kubectl create configmap {name} -n {namespace} --from-file={key}=<file>"
        )));
    };
    Ok(match map.data.and_then(|mut data| data.remove(key)) {
        Some(pem) => Ok(Some(pem)),
        None => Err(format!(
            "spec.caConfigMapRef: ConfigMap {name} in namespace {namespace} has no key {key}. Put certificates in PEM form there"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::listed_host;

    #[test]
    fn the_allow_list_names_hosts_and_plain_http_must_be_named_as_such() {
        for (url, host) in [
            ("https://api.provident.ae/v2", Some("api.provident.ae")),
            (
                "https://API.provident.ae:8443",
                Some("api.provident.ae:8443"),
            ),
            ("http://127.0.0.1:9/v2", Some("http://127.0.0.1:9")),
            // Other ways to write an address are no ways around the list.
            ("http://2130706433:9/v2", Some("http://127.0.0.1:9")),
            ("https://0x7f.1/v2", Some("127.0.0.1")),
            ("https://[::ffff:7f00:1]/v2", Some("[::ffff:7f00:1]")),
            ("https://api.provident.ae@evil.example/v2", None),
            ("https://api.provident.ae/v2?x=1", None),
            ("ftp://api.provident.ae", None),
            ("api.provident.ae", None),
        ] {
            assert_eq!(listed_host(url).as_deref(), host, "{url}");
        }
    }
}
