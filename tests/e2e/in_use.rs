//! A connection that is deleted before, with or instead of its clients.

use kube::api::{DeleteParams, Patch, PatchParams};
use provident_core::api::{ConditionStatus, ConditionType, IN_USE_FINALIZER, Reason, find};
use serde_json::{Value, json};

use crate::world::{TOKEN_SECRET, World, ready};

/// Name of the namespaced connection.
const OWN: &str = "own";

fn by_own() -> Value {
    json!({ "connectionRef": { "kind": "ProvidentConnection", "name": OWN } })
}

impl World {
    async fn delete_connection(&self) {
        let params = DeleteParams::default();
        let all = self.connections();
        all.delete(&self.connection, &params).await.unwrap();
    }

    /// Deletes the connection under its clients: whoever takes the finalizer off by hand has it gone at once.
    pub async fn remove_connection(&self) {
        self.until_in_use().await;
        self.delete_connection().await;
        self.until_connection(Reason::InUse).await;
        let none = json!({ "metadata": { "finalizers": null } });
        let (all, params) = (self.connections(), PatchParams::default());
        all.patch(&self.connection, &params, &Patch::Merge(&none))
            .await
            .unwrap();
        self.until_connection_gone().await;
    }

    async fn until_connection_gone(&self) {
        let gone = async || {
            let all = self.connections();
            all.get_opt(&self.connection).await.unwrap().is_none()
        };
        self.eventually("the connection is gone", gone).await;
    }

    async fn until_own_gone(&self) {
        let gone = async || self.own_connections().get_opt(OWN).await.unwrap().is_none();
        self.eventually("the namespaced connection is gone", gone)
            .await;
    }

    async fn delete_secret(&self, namespace: &str, name: &str) {
        let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
            kube::Api::namespaced(self.client.clone(), namespace);
        let params = DeleteParams::default();
        secrets.delete(name, &params).await.unwrap();
    }

    async fn until_in_use(&self) {
        let guarded = async || {
            let connection = self.connections().get(&self.connection).await.unwrap();
            let finalizers = connection.metadata.finalizers.unwrap_or_default();
            finalizers.iter().any(|f| f == IN_USE_FINALIZER)
        };
        self.eventually("the connection has its finalizer", guarded)
            .await;
    }
}

#[tokio::test]
async fn a_file_with_connections_their_secrets_and_clients_is_deleted_in_its_order() {
    let world = World::start().await;
    world.create_own_connection(OWN).await;
    let _operator = world.start_operator();
    let shared = world.settled("shared", json!({})).await;
    let own = world.settled("own", by_own()).await;
    // As kubectl delete -f does it: nothing is waited for in between, and the Secrets go at once.
    world.delete_connection().await;
    world.delete_secret(&world.system, TOKEN_SECRET).await;
    world.delete_secret(&world.namespace, TOKEN_SECRET).await;
    let params = DeleteParams::default();
    world.own_connections().delete(OWN, &params).await.unwrap();
    world.delete("shared").await;
    world.delete("own").await;
    for name in ["shared", "own"] {
        world.until_gone(name).await;
    }
    world.until_connection_gone().await;
    world.until_own_gone().await;
    assert!(!world.is_active(&shared) && !world.is_active(&own));
    world.check().await;
}

#[tokio::test]
async fn a_connection_and_its_client_that_are_deleted_while_no_operator_runs_go_when_one_starts() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    operator.crash().await;
    world.delete_connection().await;
    world.delete("web").await;
    let operator = world.start_operator();
    world.until_gone("web").await;
    world.until_connection_gone().await;
    assert!(!world.is_active(&client_id));
    drop(operator);
    world.check().await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_while_no_operator_runs_does_not_wait_for_lost_credentials() {
    let world = World::start_as(crate::dying::LASTING).await;
    world.create_own_connection(OWN).await;
    let operator = world.start_operator();
    let client_id = world.settled("web", by_own()).await;
    operator.crash().await;
    world.delete_namespace().await;
    let gone = async || world.secret(TOKEN_SECRET).await.is_none();
    world.eventually("the token is gone", gone).await;

    let operator = world.start_operator();
    world.until_namespace_gone().await;
    // Nobody could deactivate it, so it is named where it can still be read, and counted.
    assert!(world.is_active(&client_id));
    let log = world.log.text();
    let reported = |line: &str| line.contains("Released without") && line.contains(&client_id);
    assert!(log.lines().any(reported), "{log}");
    let counted = "provident_operator_orphaned_clients_total 1";
    assert!(operator.metrics.text().contains(counted));
    world.check().await;
}

#[tokio::test]
async fn a_connection_in_use_says_so_serves_its_clients_and_creates_nothing() {
    let world = World::start().await;
    let operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    world.until_in_use().await;
    world.delete_connection().await;
    let words = format!("in use by 1 client: {}/web", world.namespace);
    world.until_connection_says(Reason::InUse, &words).await;
    world.silence().await;

    world.declare("late", json!({})).await;
    let message = world.until_reason("late", Reason::ConnectionNotReady).await;
    assert!(message.contains("is being deleted"), "{message}");
    assert_eq!(world.creates("late"), []);
    // Its own client is still kept, after a restart too.
    operator.crash().await;
    let _operator = world.start_operator();
    world
        .patch("web", json!({ "spec": { "tokenLifetimeSeconds": 86400 } }))
        .await;
    world.until_ready("web").await;
    let seen = world.emulator.client(&client_id).unwrap();
    assert_eq!(seen.token_lifetime_seconds, 86400);

    // Naming it does not keep it.
    world.delete("web").await;
    world.until_gone("web").await;
    world.until_connection_gone().await;
    assert!(!world.is_active(&client_id));
    let words = ["Create it, or correct the reference"];
    world
        .until_told("late", Reason::ConnectionNotFound, &words)
        .await;
    world.delete("late").await;
    world.until_gone("late").await;
    world.check().await;
}

#[tokio::test]
async fn the_finalizer_goes_with_the_last_client_and_comes_back_after_a_replace() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    world.until_in_use().await;
    let all = world.connections();
    let none = json!({ "metadata": { "finalizers": null } });
    let params = PatchParams::default();
    all.patch(&world.connection, &params, &Patch::Merge(&none))
        .await
        .unwrap();
    world.until_in_use().await;
    world.silence().await;
    // Nothing is left to write, for another client neither.
    operator.faults.forget();
    world.settled("next", json!({})).await;
    let writes = operator.faults.writes_by_resource();
    assert_eq!(writes.get("clusterprovidentconnections"), None);

    world.delete("web").await;
    world.delete("next").await;
    world.until_gone("web").await;
    world.until_gone("next").await;
    let free = async || {
        let connection = world.connections().get(&world.connection).await.unwrap();
        connection.metadata.finalizers.unwrap_or_default() == Vec::<String>::new()
    };
    world
        .eventually("the finalizer went with the last client", free)
        .await;
    world.check().await;
}

#[tokio::test]
async fn a_second_installation_leaves_a_connection_to_its_manager_and_says_so() {
    let world = World::start().await;
    let mut other = World::start().await;
    let access = json!([{ "namespaces": [world.namespace, other.namespace], "scopes": ["*"] }]);
    world.edit_connection(json!({ "access": access })).await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    let managed_by = world.connection_status().await.managed_by;
    assert!(
        managed_by
            .as_ref()
            .is_some_and(|name| name.starts_with(&world.system))
    );
    let own = std::mem::replace(&mut other.connection, world.connection.clone());
    let _second = other.start_operator();
    other.declare("web", json!({})).await;
    let words = ["another installation", &world.system, "managedBy"];
    let message = other.until_reason("web", Reason::ConnectionNotReady).await;
    for word in words {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
    assert_eq!(other.creates("web"), []);
    // No fight: nothing is written any more, and the first one works.
    world.silence().await;
    assert_eq!(world.connection_status().await.managed_by, managed_by);
    world.verify_now("web").await;
    other.delete("web").await;
    other.until_gone("web").await;
    other.connection = own;
    other.check().await;

    // With its last client the first installation gives the connection up.
    world.delete("web").await;
    world.until_gone("web").await;
    let given_up = async || world.connection_status().await.managed_by.is_none();
    world.eventually("it is given up", given_up).await;
    world.check().await;
}

#[tokio::test]
async fn a_settled_client_whose_connection_vanished_answers_a_request_and_says_it_is_unverified() {
    let world = World::start().await;
    let _operator = world.start_operator();
    world.settled("web", json!({})).await;
    world.remove_connection().await;
    is_unverified(&world, "web").await;
    world.delete_without_vendor("web").await;
    world.check().await;
}

#[tokio::test]
async fn a_settled_client_whose_kind_of_connection_is_no_longer_served_says_it_is_unverified() {
    let mut world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    operator.crash().await;
    world.cluster_connections = false;
    let _operator = world.start_operator();
    is_unverified(&world, "web").await;
    world.delete_without_vendor("web").await;
    world.check().await;
}

/// The client keeps what it has, says that nobody verifies it, and answers a request.
async fn is_unverified(world: &World, name: &str) {
    let says = |words: &'static str| {
        move |object: &provident_core::api::OAuthClient| {
            let conditions = &object.status.as_ref().unwrap().conditions;
            find(conditions, ConditionType::Synced).is_some_and(|synced| {
                synced.status == ConditionStatus::Unknown.as_str() && synced.message.contains(words)
            })
        }
    };
    let unverified = says("The client is no longer verified");
    world.until(name, "unverified", unverified).await;
    // Nothing was verified, so the request stays open, and says so.
    world.ask_for_verification(name).await;
    let waits = says("The requested verification waits");
    let object = world.until(name, "answered", waits).await;
    assert_eq!(ready(&object).unwrap().status, "True");
}
