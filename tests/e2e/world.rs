//! The surroundings of a test: two namespaces, a vendor, a connection to it, and operators that come and go.

use std::sync::Mutex;
use std::time::Duration;

use harness::ControlPlane;
use harness::faults::Faults;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Api, Client, ResourceExt};
use provident_core::api::{self, ClusterProvidentConnection, ConditionType, OAuthClient, find};
use provident_emulator::{Call, Emulator, Operation, Options};
use provident_operator::cluster::FilterMetadata;
use provident_operator::config::Config;
use provident_operator::metrics::Metrics;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::operator::{Log, Operator};
use crate::rights::{self, Audit, Mode, account};

/// A condition that does not hold after this long never will. Generous: the machine may be loaded.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Name of the Secret with the connection's token.
pub const TOKEN_SECRET: &str = "provident-token";

/// One test's world. Ends with [`World::check`].
pub struct World {
    /// How operators reach the control plane: as the chart's service account.
    pub config: kube::Config,
    /// What that account is asked for.
    pub audit: Audit,
    /// How the chart was installed for it.
    pub mode: Mode,
    /// How an administrator reaches the control plane.
    pub admin: kube::Config,
    /// An administrator's client, without faults.
    pub client: Client,
    /// Where the `OAuthClient` objects are.
    pub namespace: String,
    /// Where the operators are.
    pub system: String,
    /// The name of the cluster connection.
    pub connection: String,
    /// The vendor.
    pub emulator: Emulator,
    /// What operators logged.
    pub log: Log,
    /// What operators counted.
    pub metrics: Mutex<Vec<Metrics>>,
    /// For operators to come: how long another process's attempt counts as running.
    pub attempt_wait: Duration,
    /// For operators to come: the lease they work under, if any.
    pub lease: Option<String>,
    /// For operators to come: more namespaces to watch. [`World::watch_too`] adds one.
    pub namespaces: Vec<String>,
    /// For operators to come: watch all namespaces. Only on a control plane of one's own: tests run side by side.
    pub everywhere: bool,
    /// For operators to come: whether they serve cluster connections.
    pub cluster_connections: bool,
    /// For operators to come: more hosts that connections may name.
    pub hosts: Vec<String>,
    /// For operators to come: the bound of a request to the API server.
    pub request_within: Duration,
    /// For operators started later: how long a watch lasts before it is restarted.
    pub watch_timeout: Duration,
    /// For operators to come: how often a credential is read that is not watched.
    pub credential_poll: Duration,
    /// For operators to come: how long a stop waits for answers that are not stored.
    pub grace: Duration,
}

impl World {
    /// A world on the control plane that all tests share.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// The same with another vendor.
    pub async fn start_with(vendor: Options) -> Self {
        Self::on(Self::shared().await, Mode::Namespaces, vendor).await
    }

    /// The same with the chart installed another way.
    pub async fn start_as(mode: Mode) -> Self {
        Self::on(Self::shared().await, mode, Options::default()).await
    }

    async fn shared() -> &'static ControlPlane {
        static SHARED: OnceCell<&ControlPlane> = OnceCell::const_new();
        let install = async || {
            let control_plane = ControlPlane::shared().await.unwrap();
            install(&control_plane.client_config()).await;
            control_plane
        };
        SHARED.get_or_init(install).await
    }

    /// A world on a control plane with the definitions and policies installed.
    pub async fn on(control_plane: &ControlPlane, mode: Mode, vendor: Options) -> Self {
        let admin = control_plane.client_config();
        let client = ClientBuilder::try_from(admin.clone())
            .unwrap()
            .with_layer(&FilterMetadata)
            .build();
        let namespace = create_namespace(&client, "e2e-").await;
        let system = create_namespace(&client, "e2e-system-").await;
        let watched = std::slice::from_ref(&namespace);
        let emulator = Emulator::start(vendor).await.unwrap();
        let world = Self {
            config: account(&admin, mode, &system, watched).await,
            audit: Audit::begin(control_plane.audit_log(), &rights::user(&system)),
            everywhere: false,
            mode,
            admin,
            connection: namespace.clone(),
            client,
            namespace,
            system,
            emulator,
            log: Log::default(),
            attempt_wait: Duration::from_secs(3),
            lease: None,
            namespaces: Vec::new(),
            cluster_connections: mode.has_cluster_connections(),
            hosts: Vec::new(),
            metrics: Mutex::default(),
            request_within: Duration::from_secs(15),
            grace: Duration::from_secs(30),
            watch_timeout: Config::default().watch_timeout,
            credential_poll: Config::default().credential_poll,
        };
        world.put_token(&world.emulator.token()).await;
        let connection: ClusterProvidentConnection = serde_json::from_value(json!({
            "apiVersion": "oauth.provident.ae/v1alpha1",
            "kind": "ClusterProvidentConnection",
            "metadata": { "name": world.connection },
            "spec": {
                "baseUrl": world.emulator.base_url(),
                "auth": { "tokenSecretRef": { "name": TOKEN_SECRET, "key": "token" } },
                "access": [{ "namespaces": [world.namespace], "scopes": ["*"] }],
                "requestsPerSecond": 100,
            },
        }))
        .unwrap();
        let all = world.connections();
        all.create(&PostParams::default(), &connection)
            .await
            .unwrap();
        world
    }

    /// Starts an operator without faults; they can be added while it runs.
    pub fn start_operator(&self) -> Operator {
        self.start_operator_with(&Faults::new())
    }

    /// Starts an operator with faults that are already set.
    pub fn start_operator_with(&self, faults: &Faults) -> Operator {
        let own = [
            format!("http://{}", self.emulator.address()),
            // For connections that cannot be made: no TLS there.
            self.emulator.address().to_string(),
        ];
        let own_namespaces = [std::slice::from_ref(&self.namespace), &self.namespaces].concat();
        let settings = Config {
            namespace: self.system.clone(),
            watch_namespaces: if self.everywhere {
                Vec::new()
            } else {
                own_namespaces
            },
            cluster_connections: self.cluster_connections,
            watch_secrets: self.mode.watches_secrets(),
            allowed_hosts: vec!["http://nowhere.invalid".to_owned()],
            internal_hosts: own.into_iter().chain(self.hosts.clone()).collect(),
            lease: self.lease.clone(),
            attempt_wait: self.attempt_wait,
            shutdown_grace_period: self.grace,
            watch_timeout: self.watch_timeout,
            credential_poll: self.credential_poll,
            ..Config::default()
        };
        let config = self.config.clone();
        let operator = Operator::start(config, faults, self.request_within, settings, &self.log);
        self.metrics.lock().unwrap().push(operator.metrics.clone());
        operator
    }

    /// Lets operators to come keep the clients of one more namespace.
    pub async fn watch_too(&mut self, namespace: &str) {
        rights::grant(&self.client, self.mode, &self.system, namespace).await;
        self.namespaces.push(namespace.to_owned());
    }

    pub fn objects(&self) -> Api<OAuthClient> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn connections(&self) -> Api<ClusterProvidentConnection> {
        Api::all(self.client.clone())
    }

    /// Puts a token into the connection's Secret.
    pub async fn put_token(&self, token: &str) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.system);
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": TOKEN_SECRET },
            "stringData": { "token": token },
        });
        let params = PatchParams::apply("e2e").force();
        secrets
            .patch(TOKEN_SECRET, &params, &Patch::Apply(&secret))
            .await
            .unwrap();
    }

    /// Merges into the connection's spec.
    pub async fn edit_connection(&self, spec: Value) {
        let patch = json!({ "spec": spec });
        let all = self.connections();
        all.patch(
            &self.connection,
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await
        .unwrap();
    }

    /// Declares a client of this name; `spec` may state any field, only `allowedScopes` and the connection are given.
    pub async fn declare(&self, name: &str, spec: Value) -> OAuthClient {
        self.declare_with(name, json!({}), spec).await
    }

    /// The same with more metadata.
    pub async fn declare_with(&self, name: &str, metadata: Value, spec: Value) -> OAuthClient {
        let mut object = json!({
            "apiVersion": "oauth.provident.ae/v1alpha1",
            "kind": "OAuthClient",
            "metadata": metadata,
            "spec": {
                "allowedScopes": ["listings:read"],
                "connectionRef": { "kind": "ClusterProvidentConnection", "name": self.connection },
            },
        });
        object["metadata"]["name"] = name.into();
        let stated = object["spec"].as_object_mut().unwrap();
        stated.extend(spec.as_object().unwrap().clone());
        // As a user sends it: what is left out is the API server's to fill in.
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients",
            self.namespace
        );
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(serde_json::to_vec(&object).unwrap()).unwrap();
        self.client.request(request).await.unwrap()
    }

    /// Merges into an object.
    pub async fn patch(&self, name: &str, patch: Value) -> OAuthClient {
        let params = PatchParams::default();
        self.objects()
            .patch(name, &params, &Patch::Merge(&patch))
            .await
            .unwrap()
    }

    /// Merges into an object's status, as only somebody with that right can.
    pub async fn patch_status(&self, name: &str, status: Value) -> OAuthClient {
        let params = PatchParams::default();
        let patch = json!({ "status": status });
        self.objects()
            .patch_status(name, &params, &Patch::Merge(&patch))
            .await
            .unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.objects()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Deletes an object and leaves its client at the vendor as it is.
    pub async fn delete_without_vendor(&self, name: &str) {
        self.patch(name, json!({ "spec": { "deletionPolicy": "Retain" } }))
            .await;
        self.delete(name).await;
        self.until_gone(name).await;
    }

    pub async fn get(&self, name: &str) -> OAuthClient {
        self.objects().get(name).await.unwrap()
    }

    pub async fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets().get_opt(name).await.unwrap()
    }

    /// Looks away for a while: the only way to see that something does *not* happen.
    pub async fn watch_for(&self, window: Duration) {
        tokio::time::sleep(window).await;
    }

    /// The name that an object's client has at the vendor.
    pub fn vendor_name(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    /// Where a client gets its tokens, as the operator writes it into Secrets.
    pub fn token_url(&self) -> String {
        format!("{}/oauth2/token", self.emulator.base_url())
    }

    /// The creates that the vendor has read for an object, whatever became of them.
    pub fn creates(&self, name: &str) -> Vec<Call> {
        let wanted = self.vendor_name(name);
        let calls = self.emulator.calls().into_iter();
        calls
            .filter(|call| {
                call.operation == Operation::Create && call.name.as_deref() == Some(&wanted)
            })
            .collect()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.client.request(request).await.unwrap()
    }
}

/// The condition `Ready`.
pub fn ready(object: &OAuthClient) -> Option<&Condition> {
    find(&object.status.as_ref()?.conditions, ConditionType::Ready)
}

/// `Ready=True`, and that of the newest generation.
pub fn is_ready(object: &OAuthClient) -> bool {
    let observed = object
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed == object.metadata.generation
        && ready(object).is_some_and(|ready| ready.status == "True")
}

/// Whether only a person can go on: `Stalled=True`.
pub fn is_stalled(object: &OAuthClient) -> bool {
    let conditions = object.status.as_ref().map(|status| &status.conditions);
    conditions
        .and_then(|conditions| find(conditions, ConditionType::Stalled))
        .is_some_and(|stalled| stalled.status == "True")
}

/// The open attempt's id.
pub fn attempt(object: &OAuthClient) -> Option<String> {
    let attempt = object.status.as_ref()?.create_attempt.as_ref()?;
    Some(attempt.id.clone())
}

/// Installs what an administrator does once per cluster: the definitions, and the chart's policies.
pub async fn install(config: &kube::Config) {
    let client = Client::try_from(config.clone()).unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    for crd in api::crds() {
        let (name, params) = (crd.name_any(), PatchParams::apply("e2e").force());
        definitions
            .patch(&name, &params, &Patch::Apply(crd))
            .await
            .unwrap();
        await_condition(definitions.clone(), &name, is_crd_established())
            .await
            .unwrap();
    }
    rights::install_policies(config).await;
}

pub async fn create_namespace(client: &Client, prefix: &str) -> String {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace =
        serde_json::from_value(json!({ "metadata": { "generateName": prefix } })).unwrap();
    let created = namespaces.create(&PostParams::default(), &namespace).await;
    created.unwrap().name_any()
}
