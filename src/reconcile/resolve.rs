//! What a connection's spec stands for: a host that is allowed, a token that is there.

use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};

use super::Error;
use super::connection::reference;
use super::connections::State;
use super::context::Context;
use crate::api::{ClusterProvidentConnection, ConditionStatus, ConnectionStatus, Reason};
use crate::binding::BindingKey;
use crate::plan::Told;
use crate::provident::connection::Connection;

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

pub(crate) fn bad(reason: Reason, message: impl Into<String>) -> Told {
    (ConditionStatus::False, reason, message.into())
}

// What the connection is to be used with; the former one if nothing about it changed, with its limits and its breaker.
pub(crate) async fn resolve(
    object: &ClusterProvidentConnection,
    ctx: &Context,
    key: &BindingKey,
    status: &ConnectionStatus,
) -> Result<Result<Arc<Connection>, Told>, Error> {
    let spec = &object.spec;
    if spec.suspend == Some(true) {
        return Ok(Err(bad(
            Reason::Suspended,
            "spec.suspend is true: no vendor call is made; set it to false to go on",
        )));
    }
    let base_url = spec.base_url.trim_end_matches('/');
    let Some(host) = listed_host(base_url) else {
        return Ok(Err(bad(
            Reason::HostNotAllowed,
            "spec.baseUrl: must be a plain https URL, without credentials or query",
        )));
    };
    if !ctx
        .settings
        .allowed_hosts
        .iter()
        .any(|allowed| allowed.trim_end_matches('/') == host)
    {
        let message = format!(
            "spec.baseUrl: the operator may not call {host}. Start it with --allowed-host {host}"
        );
        return Ok(Err(bad(Reason::HostNotAllowed, message)));
    }
    let token = match token(object, ctx).await? {
        Ok(token) => token,
        Err(message) => return Ok(Err(bad(Reason::CredentialsNotFound, message))),
    };
    let fingerprint = key.fingerprint(base_url, token.expose_secret());
    let reference = reference(&object.name_any());
    let per_second = u32::try_from(spec.requests_per_second)
        .ok()
        .and_then(NonZeroU32::new)
        .unwrap_or(NonZeroU32::MIN);
    if let Some(State::Usable(known)) = ctx.connections.get(&reference).map(|entry| entry.state)
        && known.fingerprint == fingerprint
        && known.limiter.per_second() == per_second
    {
        return Ok(Ok(known));
    }
    let proven = status.proven.as_deref() == Some(fingerprint.as_str());
    let made = Connection::new(base_url, &token, per_second, fingerprint, proven);
    Ok(made.map(Arc::new).map_err(|error| {
        bad(
            Reason::CredentialsRejected,
            format!("spec.auth.tokenSecretRef: {error}"),
        )
    }))
}

pub(crate) async fn token(
    object: &ClusterProvidentConnection,
    ctx: &Context,
) -> Result<Result<SecretString, String>, Error> {
    let wanted = &object.spec.auth.token_secret_ref;
    let (namespace, name) = (&ctx.settings.namespace, &wanted.name);
    let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), namespace);
    let Some(secret) = secrets.get_opt(name).await? else {
        return Ok(Err(format!(
            "spec.auth.tokenSecretRef: there is no Secret {name} in namespace {namespace}. \
             Create it: kubectl create secret generic {name} -n {namespace} --from-literal={}=<token>",
            wanted.key
        )));
    };
    let bytes = secret.data.as_ref().and_then(|data| data.get(&wanted.key));
    let text = bytes
        .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
        .map(str::trim)
        .unwrap_or_default();
    if text.is_empty() {
        return Ok(Err(format!(
            "spec.auth.tokenSecretRef: Secret {name} in namespace {namespace} has no token under key {}. Put it there",
            wanted.key
        )));
    }
    Ok(Ok(SecretString::from(text)))
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
            ("https://api.provident.ae@evil.example/v2", None),
            ("https://api.provident.ae/v2?x=1", None),
            ("ftp://api.provident.ae", None),
            ("api.provident.ae", None),
        ] {
            assert_eq!(listed_host(url).as_deref(), host, "{url}");
        }
    }
}
