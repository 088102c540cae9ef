//! Connections: both kinds, and what is reported of them.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use provident_core::api::{ConditionType, ConnectionStatus, ProvidentConnection, Reason, find};
use provident_emulator::{Answer, Fault, Operation, When};
use serde_json::{Value, json};

use crate::world::{TOKEN_SECRET, World, is_ready};

/// Name of the namespaced connection.
const OWN: &str = "own";

impl World {
    pub fn own_connections(&self) -> Api<ProvidentConnection> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A namespaced connection in the clients' namespace, with its token beside it.
    pub async fn create_own_connection(&self, name: &str) {
        let token = json!({ "token": self.emulator.token() });
        self.put_secret(&self.namespace, TOKEN_SECRET, token).await;
        let connection = serde_json::from_value(json!({
            "apiVersion": "oauth.provident.ae/v1alpha1",
            "kind": "ProvidentConnection",
            "metadata": { "name": name },
            "spec": {
                "baseUrl": self.emulator.base_url(),
                "auth": { "tokenSecretRef": { "name": TOKEN_SECRET, "key": "token" } },
                "requestsPerSecond": 100,
            },
        }));
        self.own_connections()
            .create(&PostParams::default(), &connection.unwrap())
            .await
            .unwrap();
    }

    pub async fn put_secret(&self, namespace: &str, name: &str, data: Value) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": data,
        });
        let params = PatchParams::apply("e2e").force();
        secrets
            .patch(name, &params, &Patch::Apply(&secret))
            .await
            .unwrap();
    }

    pub async fn connection_status(&self) -> ConnectionStatus {
        let connection = self.connections().get(&self.connection).await.unwrap();
        connection.status.unwrap_or_default()
    }

    /// Events about a connection, as `reason: note`. Those of a cluster connection stand in the namespace `default`.
    pub async fn connection_events(&self, namespace: &str, name: &str) -> Vec<String> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let list = self.get_json(&path).await;
        let items = list["items"].as_array().unwrap().iter();
        items
            .filter(|event| {
                event["regarding"]["name"] == name
                    && event["regarding"]["kind"]
                        .as_str()
                        .is_some_and(|kind| kind.ends_with("Connection"))
            })
            .map(|event| {
                let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                format!("{}: {}", text("reason"), text("note"))
            })
            .collect()
    }
}

fn through_own() -> Value {
    json!({ "connectionRef": { "kind": "ProvidentConnection", "name": OWN } })
}

#[tokio::test]
async fn a_namespace_brings_its_own_account_and_needs_no_access_rule() {
    let world = World::start().await;
    // Nobody else's rules matter here.
    world.edit_connection(json!({ "access": [] })).await;
    let _operator = world.start_operator();
    world.declare("storefront", through_own()).await;
    let message = world
        .until_reason("storefront", Reason::ConnectionNotFound)
        .await;
    assert!(
        message.contains("ProvidentConnection") && message.contains("spec.connectionRef"),
        "{message}"
    );
    world.create_own_connection(OWN).await;
    world.until_ready("storefront").await;
    // ConditionUpdate beside its clients, so a little later than a client may be served.
    let says_ready = async || {
        let connection = world.own_connections().get(OWN).await.unwrap();
        let conditions = connection.status.unwrap_or_default().conditions;
        find(&conditions, ConditionType::Ready).is_some_and(|ready| ready.status == "True")
    };
    world
        .eventually("the connection says Ready", says_ready)
        .await;

    // Its token is changed beside it, and used at once.
    world.emulator.set_token("a/new+token~");
    world
        .patch(
            "storefront",
            json!({ "spec": { "tokenLifetimeSeconds": 86400 } }),
        )
        .await;
    world
        .until_reason("storefront", Reason::ConnectionNotReady)
        .await;
    world
        .put_secret(
            &world.namespace,
            TOKEN_SECRET,
            json!({ "token": "a/new+token~" }),
        )
        .await;
    world.until_ready("storefront").await;
    world.check().await;
}

#[tokio::test]
async fn a_namespaced_connection_of_another_namespace_cannot_be_named() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.create_own_connection(OWN).await;
    // The cluster connection's name is no namespaced one's, and a slash leads nowhere: the schema refuses it.
    world
        .declare(
            "storefront",
            json!({ "connectionRef": { "kind": "ProvidentConnection", "name": world.connection } }),
        )
        .await;
    world
        .until_reason("storefront", Reason::ConnectionNotFound)
        .await;
    assert_eq!(world.creates("storefront").len(), 0);
    world.check().await;
}

#[tokio::test]
async fn s27_a_dying_namespace_does_not_wait_for_its_own_connection() {
    let world = World::start_as(crate::dying::LASTING).await;
    let _operator = world.start_operator();
    world.create_own_connection(OWN).await;
    world.declare("storefront", through_own()).await;
    let client_id = world.until_ready("storefront").await;
    world.declare("second", through_own()).await;
    world.until_ready("second").await;

    // Outside a dying namespace a lost Secret or connection makes a deletion wait, and the message names the exit.
    let secrets = world.secrets();
    secrets
        .delete(TOKEN_SECRET, &DeleteParams::default())
        .await
        .unwrap();
    let own = world.own_connections();
    own.delete(OWN, &DeleteParams::default()).await.unwrap();
    // Without our finalizer, as somebody with that right can take it off.
    let none = json!({ "metadata": { "finalizers": null } });
    own.patch(OWN, &PatchParams::default(), &Patch::Merge(&none))
        .await
        .unwrap();
    world.delete("second").await;
    let message = world
        .until_reason("second", Reason::ConnectionNotFound)
        .await;
    assert!(message.contains("deletionPolicy"), "{message}");
    assert!(world.emulator.client(&client_id).unwrap().is_active);

    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(&world.namespace, &DeleteParams::default())
        .await
        .unwrap();
    world.until_gone("storefront").await;
    world.until_gone("second").await;
    let clients = world.emulator.clients();
    assert!(
        clients.iter().all(|client| !client.is_active),
        "{clients:?}"
    );
}

#[tokio::test]
async fn an_outage_is_told_once_by_the_connection_and_pointed_at_by_its_clients() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.declare("first", json!({})).await;
    world.until_ready("first").await;
    for operation in [Operation::Get, Operation::Update, Operation::Create] {
        let answer = Fault::Answer(Answer::new(When::BeforeCommit, 503));
        world.emulator.faults().always(operation, answer);
    }
    // One meets the outage; the others find it reported.
    world
        .patch(
            "first",
            json!({ "spec": { "tokenLifetimeSeconds": 86400 } }),
        )
        .await;
    world.until_connection(Reason::VendorUnavailable).await;
    let since = world.connection_status().await.failing_since;
    assert!(since.is_some());
    let calls = world.emulator.count(Operation::Create);
    for index in 0..8 {
        world.declare(&format!("client-{index}"), json!({})).await;
    }
    for index in 0..8 {
        let name = format!("client-{index}");
        let message = world.until_reason(&name, Reason::VendorUnavailable).await;
        let command = format!(
            "kubectl describe clusterprovidentconnections.oauth.provident.ae {}",
            world.connection
        );
        assert!(message.contains(&command), "{message}");
        assert_eq!(world.events(&name).await, [""; 0], "{name}");
    }
    assert_eq!(
        world.emulator.count(Operation::Create),
        calls,
        "nothing is sent"
    );
    assert_eq!(world.connection_status().await.failing_since, since);

    world.emulator.faults().clear();
    for index in 0..8 {
        world.until_ready(&format!("client-{index}")).await;
    }
    world.until("first", "Ready", is_ready).await;
    world.until_connection(Reason::Available).await;
    assert_eq!(world.connection_status().await.failing_since, None);
    let events = world.connection_events("default", &world.connection).await;
    let reported = |reason: &str| {
        let begins = |event: &&String| event.starts_with(reason);
        events.iter().filter(begins).count()
    };
    assert_eq!(reported("VendorUnavailable"), 1, "{events:#?}");
    assert!(reported("Available") >= 1, "{events:#?}");
    world.check().await;
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_not_called() {
    let world = World::start().await;
    let mut operator = None;
    world
        .declare("storefront", json!({ "suspend": true }))
        .await;
    for host in [
        "http://169.254.169.254/v2",
        "http://127.0.0.1:1/v2",
        "http://[::1]:8090/v2",
        "http://localhost/v2",
        "https://api.example.com/v2",
    ] {
        world.edit_connection(json!({ "baseUrl": host })).await;
        // Not before, so that it has never seen a host that is listed.
        let _ = operator.get_or_insert_with(|| world.start_operator());
        world.until_connection(Reason::HostNotAllowed).await;
        world
            .patch("storefront", json!({ "spec": { "suspend": false } }))
            .await;
        let message = world
            .until_reason("storefront", Reason::ConnectionNotReady)
            .await;
        assert!(message.contains("HostNotAllowed"), "{message}");
    }
    assert_eq!(world.emulator.calls(), []);
    world.check().await;
}
