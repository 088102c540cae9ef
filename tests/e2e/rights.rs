//! The account that operators of tests run as: the chart's, with the rights that the chart gives it and under its policies.
//!
//! What is applied here is printed from the chart (`tests/chart/run`); only the names of namespaces are others.

mod audit;
mod granted;
mod proven;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};

pub use audit::Audit;

use crate::world::PATIENCE;

/// The service account's name in every mode, and the namespaces that the printed files name.
const NAME: &str = "provident-operator";
const SYSTEM: &str = "provident-system";
const WATCHED: &str = "watched-namespace";

/// A way to install the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As `helm install` does it, with the right to restart workloads.
    Cluster,
    /// `watchNamespaces`, with the right to restart workloads: how tests run side by side.
    Namespaces,
    /// `secrets.watch: false`.
    UnwatchedSecrets,
    /// `watchNamespaces`, `clusterConnections.enabled: false` and `secrets.watch: false`: Roles only.
    Tenant,
}

impl Mode {
    pub const ALL: [Self; 4] = [
        Self::Cluster,
        Self::Namespaces,
        Self::UnwatchedSecrets,
        Self::Tenant,
    ];

    const fn printed(self) -> &'static str {
        match self {
            Self::Cluster => include_str!("../chart/rights/cluster.yaml"),
            Self::Namespaces => include_str!("../chart/rights/namespaces.yaml"),
            Self::UnwatchedSecrets => include_str!("../chart/rights/unwatched-secrets.yaml"),
            Self::Tenant => include_str!("../chart/rights/tenant.yaml"),
        }
    }

    pub fn watches_all(self) -> bool {
        matches!(self, Self::Cluster | Self::UnwatchedSecrets)
    }

    pub fn watches_secrets(self) -> bool {
        matches!(self, Self::Cluster | Self::Namespaces)
    }

    pub fn has_cluster_connections(self) -> bool {
        self != Self::Tenant
    }

    /// The account, its roles and their bindings, for an operator in `system` that keeps `watched`.
    fn rights(self, system: &str, watched: &str) -> Vec<Value> {
        let documents = documents(self.printed()).into_iter();
        documents
            .filter(|document| !is_policy(document))
            .map(|document| renamed(&document, &[(SYSTEM, system), (WATCHED, watched)]))
            .collect()
    }
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn is_policy(document: &Value) -> bool {
    document["kind"].as_str().unwrap().starts_with("Validating")
}

fn renamed(document: &Value, names: &[(&str, &str)]) -> Value {
    let text = names.iter().fold(document.to_string(), |text, (old, new)| {
        text.replace(old, new)
    });
    serde_json::from_str(&text).unwrap()
}

/// What the API server calls the account of an operator in `system`.
pub fn user(system: &str) -> String {
    format!("system:serviceaccount:{system}:{NAME}")
}

/// Makes the account with its rights on the namespaces; with it the operator reaches the control plane that `admin` reaches.
pub async fn account(admin: &Config, mode: Mode, system: &str, watched: &[String]) -> Config {
    let client = Client::try_from(admin.clone()).unwrap();
    for namespace in watched {
        grant(&client, mode, system, namespace).await;
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client, system);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            // Longer than any test.
            expiration_seconds: Some(24 * 60 * 60),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(NAME, &PostParams::default(), &request)
        .await;
    let token = answer.unwrap().status.unwrap().token.unwrap();
    let mut config = admin.clone();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    config
}

/// Gives the account its rights on one namespace, and waits until they are in force.
pub async fn grant(client: &Client, mode: Mode, system: &str, watched: &str) {
    let rights = mode.rights(system, watched);
    for document in &rights {
        apply(client, document).await;
    }
    for role in rights
        .iter()
        .filter(|document| document["rules"].is_array())
    {
        until_in_force(client, role, &user(system)).await;
    }
}

// The authorizer learns of a binding by a watch of its own.
async fn until_in_force(client: &Client, role: &Value, user: &str) {
    let first = |list: &Value| list[0].as_str().map(ToOwned::to_owned);
    let asked = ResourceAttributes {
        namespace: role["metadata"]["namespace"]
            .as_str()
            .map(ToOwned::to_owned),
        group: first(&role["rules"][0]["apiGroups"]),
        resource: first(&role["rules"][0]["resources"]),
        name: first(&role["rules"][0]["resourceNames"]),
        verb: first(&role["rules"][0]["verbs"]),
        ..ResourceAttributes::default()
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            resource_attributes: Some(asked),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    until("the rights are in force", async || {
        let answer = reviews.create(&PostParams::default(), &review).await;
        answer.unwrap().status.is_some_and(|status| status.allowed)
    })
    .await;
}

/// Puts the chart's admission policies in force for the operators of all tests.
pub async fn install_policies(admin: &Config) {
    let client = Client::try_from(admin.clone()).unwrap();
    // They name one account, and the namespace of one binding key; here it is those of all worlds.
    let ours = [
        (
            "request.userInfo.username == 'system:serviceaccount:provident-system:provident-operator'",
            "request.userInfo.username.matches('^system:serviceaccount:e2e-system-[a-z0-9]*:provident-operator$')",
        ),
        (
            "request.namespace == 'provident-system'",
            "request.namespace.startsWith('e2e-system-')",
        ),
    ];
    let printed = documents(Mode::Cluster.printed());
    for document in printed.iter().filter(|document| is_policy(document)) {
        let document = renamed(document, &ours);
        assert!(!document.to_string().contains("'provident-system'"));
        apply(&client, &document).await;
    }
    // A policy is in force some moments after it was made.
    let mut forger = admin.clone();
    forger.auth_info.impersonate = Some(user("e2e-system-forger"));
    forger.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    let secrets: Api<Secret> = Api::default_namespaced(Client::try_from(forger).unwrap());
    let loose = serde_json::from_value(json!({ "metadata": { "name": "loose" } })).unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    until("the policies are in force", async || {
        let refused = secrets.create(&dry_run, &loose).await.err();
        refused.is_some_and(|error| error.to_string().contains("that an OAuthClient owns"))
    })
    .await;
}

async fn apply(client: &Client, document: &Value) {
    let object: DynamicObject = serde_json::from_value(document.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    };
    let params = PatchParams::apply("e2e").force();
    api.patch(&object.name_any(), &params, &Patch::Apply(&object))
        .await
        .unwrap();
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let asked = async {
        while !holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, asked).await;
    assert!(held.is_ok(), "not within {PATIENCE:?}: {what}");
}
