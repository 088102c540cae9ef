//! Resolves what a connection's spec refers to: a host that is allowed, a credential, certificate authorities to trust.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use secrecy::SecretString;

use crate::config::Config;
use crate::connection::condition::not_ready;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::Error;
use crate::state::connection_registry::ConnectionKey;
use crate::vendor::addresses::is_public;
use crate::vendor::call::CallObserver;
use crate::vendor::client::ClientError;
use crate::vendor::connection::{AccountConfig, Proofs, VendorConnection};
use crate::vendor::http::{NetworkPolicy, SetupError};
use crate::vendor::token::Credential;
use provident_core::api::{
    self, ConditionType, ConnectionAuth, ConnectionKind, ConnectionStatus, Reason,
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

/// Where the Secret and the `ConfigMap` of a connection are: beside a namespaced one, beside the operator for a cluster's.
pub(crate) fn home<'a>(key: &'a ConnectionKey, config: &'a Config) -> &'a str {
    match key.kind {
        ConnectionKind::ClusterProvidentConnection => &config.namespace,
        ConnectionKind::ProvidentConnection => &key.namespace,
    }
}

// The former connection if nothing about it changed, so that its limits, its breaker and its health are kept.
pub(crate) async fn resolve<K: AnyConnection>(
    object: &K,
    ctx: &Context,
    key: &BindingKey,
    status: &ConnectionStatus,
) -> Result<Result<Arc<VendorConnection>, ConditionUpdate>, Error> {
    let spec = object.account();
    if spec.suspend == Some(true) {
        return Ok(Err(not_ready(
            Reason::Suspended,
            "spec.suspend is true: the operator sends nothing to the vendor. Set it to false to resume",
        )));
    }
    let base_url = spec.base_url.trim_end_matches('/');
    let internal = match host(base_url, &ctx.config) {
        Ok(internal) => internal,
        Err(message) => return Ok(Err(not_ready(Reason::HostNotAllowed, message))),
    };
    let this = object.key();
    let credential = match credential(&spec.auth, &this, ctx).await? {
        Ok(credential) => credential,
        Err(message) => return Ok(Err(not_ready(Reason::CredentialsNotFound, message))),
    };
    let authorities = match authorities(object, &this, ctx).await? {
        Ok(authorities) => authorities,
        Err(message) => return Ok(Err(not_ready(Reason::CaNotFound, message))),
    };
    let config = AccountConfig {
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
        health_listener: ctx.state.connections.trigger_of(&this),
    };
    let last = ctx
        .state
        .connections
        .get(&this)
        .and_then(|entry| entry.last.clone());
    if let Some(known) = last.as_ref().filter(|known| known.is_of(&config)) {
        return Ok(Ok(Arc::clone(known)));
    }
    let former = last.filter(|last| last.fingerprint == config.fingerprint);
    let was_ready = api::find(&status.conditions, ConditionType::Ready)
        .is_some_and(|ready| ready.status == "True" || ready.reason == Reason::InUse.as_str());
    let is_current = |hash: &Option<String>| hash.as_ref() == Some(&config.fingerprint);
    let proofs = Proofs {
        credential_accepted: was_ready && is_current(&status.accepted_credential_hash),
        account_verified: is_current(&status.verified_account_hash),
    };
    let made = VendorConnection::new(config, proofs, former.as_deref());
    Ok(made.map(Arc::new).map_err(|error| {
        let (reason, field) = match &error {
            ClientError::Token => (Reason::CredentialsRejected, "spec.auth".to_owned()),
            ClientError::Setup(SetupError::Authorities) => {
                (Reason::CaInvalid, ca_field(object, &this, ctx))
            }
            ClientError::Setup(SetupError::Tls(_)) => {
                (Reason::VendorUnavailable, "spec.baseUrl".to_owned())
            }
        };
        not_ready(reason, format!("{field}: {error}"))
    }))
}

fn ca_field<K: AnyConnection>(object: &K, this: &ConnectionKey, ctx: &Context) -> String {
    let Some(wanted) = &object.account().ca_config_map_ref else {
        return "spec.caConfigMapRef".to_owned();
    };
    format!(
        "spec.caConfigMapRef: key {} of ConfigMap {} in namespace {}",
        wanted.key,
        wanted.name,
        home(this, &ctx.config)
    )
}

fn observer(ctx: &Context) -> CallObserver {
    let vendor = ctx.metrics.vendor.clone();
    Arc::new(move |operation, code, took| vendor.asked(operation, code, took))
}

// Whether the host may be an internal address, or why it may not be called at all.
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
    if lists(&config.internal_hosts) {
        return Ok(true);
    }
    // The resolver checks what a name resolves to; an address in the URL never gets there.
    let private = address(base_url).is_some_and(|address| !is_public(address));
    let internal = format!("--allowed-internal-host {host} (chart value allowedInternalHosts)");
    if private {
        return Err(format!(
            "spec.baseUrl: {host} is not a public address. If the operator may call it, start it with {internal}"
        ));
    }
    if lists(&config.allowed_hosts) {
        return Ok(false);
    }
    let public = format!("--allowed-host {host} (chart value allowedHosts)");
    Err(if is_internal_name(base_url) {
        format!("spec.baseUrl: the operator may not call {host}. Start it with {internal}")
    } else if address(base_url).is_some() {
        format!("spec.baseUrl: the operator may not call {host}. Start it with {public}")
    } else {
        format!(
            "spec.baseUrl: the operator may not call {host}. Start it with {public}, or with {internal} if the name \
             resolves to a private address"
        )
    })
}

fn address(base_url: &str) -> Option<IpAddr> {
    match url::Url::parse(base_url).ok()?.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

// Names that no public DNS has: Services of the cluster, this machine, and RFC 6762 and 9476's local ones.
fn is_internal_name(base_url: &str) -> bool {
    let Ok(url) = url::Url::parse(base_url) else {
        return false;
    };
    let Some(url::Host::Domain(name)) = url.host() else {
        return false;
    };
    let name = name.trim_end_matches('.');
    !name.contains('.')
        || [
            "svc",
            "local",
            "internal",
            "localhost",
            "localdomain",
            "lan",
        ]
        .contains(&name.rsplit('.').next().unwrap_or_default())
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
    use super::{host, listed_host};
    use crate::config::Config;

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

    #[test]
    fn an_address_in_the_url_is_checked_as_a_resolved_one_is() {
        let config = Config {
            allowed_hosts: [
                "http://127.0.0.1:8090",
                "169.254.169.254",
                "10.0.0.1",
                "[::1]",
                "[fd00:ec2::254]",
                "[::ffff:a00:1]",
                "8.8.8.8",
                "[2a00:1450:4001:81b::200e]",
                "api.example.com",
            ]
            .map(str::to_owned)
            .to_vec(),
            internal_hosts: vec!["10.1.1.1:8443".to_owned(), "gw.corp.example".to_owned()],
            ..Config::default()
        };
        for public in [
            "https://8.8.8.8/v2",
            "https://[2a00:1450:4001:81b::200e]/v2",
            "https://api.example.com/v2",
        ] {
            assert_eq!(host(public, &config), Ok(false), "{public}");
        }
        for internal in ["https://10.1.1.1:8443/v2", "https://gw.corp.example/v2"] {
            assert_eq!(host(internal, &config), Ok(true), "{internal}");
        }
        for private in [
            "http://127.0.0.1:8090/v2",
            "http://2130706433:8090/v2",
            "https://169.254.169.254/v2",
            "https://0xa9fea9fe/v2",
            "https://10.0.0.1/v2",
            "https://[::1]/v2",
            "https://[fd00:ec2::254]/v2",
            "https://[::ffff:10.0.0.1]/v2",
        ] {
            let message = host(private, &config).unwrap_err();
            assert!(
                message.contains("--allowed-internal-host")
                    && message.contains("allowedInternalHosts"),
                "{private}: {message}"
            );
            assert!(!message.contains("--allowed-host "), "{private}: {message}");
        }
    }

    #[test]
    fn a_host_that_is_not_listed_is_told_with_the_flag_that_lists_it() {
        let config = Config::default();
        for (url, flags) in [
            ("https://gateway.tools.svc/v2", [false, true]),
            (
                "http://gateway.tools.svc.cluster.local:81/v2",
                [false, true],
            ),
            ("http://localhost:8090/v2", [false, true]),
            ("https://gateway/v2", [false, true]),
            ("https://gw.internal/v2", [false, true]),
            ("https://192.168.0.9/v2", [false, true]),
            ("https://8.8.8.8/v2", [true, false]),
            ("https://api.example.com/v2", [true, true]),
        ] {
            let message = host(url, &config).unwrap_err();
            let named =
                ["--allowed-host ", "--allowed-internal-host "].map(|flag| message.contains(flag));
            assert_eq!(named, flags, "{url}: {message}");
        }
    }
}
