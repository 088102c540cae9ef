//! Resolves what a connection's spec refers to: a host that is allowed, a credential, certificate authorities to trust.

use std::num::NonZeroU32;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use secrecy::SecretString;

use crate::config::Config;
use crate::connection::condition::not_ready;
use crate::connection::host::host;
use crate::connection::kinds::AnyConnection;
use crate::context::Context;
use crate::reconcile::Error;
use crate::state::connection_key::ConnectionKey;
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
use provident_core::secret;

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
        let text = secret::text(&secret, key);
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
