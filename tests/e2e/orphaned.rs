//! `kubectl delete --cascade=orphan`: the Secret outlives its object, so the credentials in it keep working.

use kube::ResourceExt;
use kube::api::{DeleteParams, PropagationPolicy};
use provident_emulator::Operation;
use serde_json::json;

use crate::world::World;

impl World {
    async fn delete_orphaning(&self, name: &str) {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        self.objects().delete(name, &params).await.unwrap();
    }

    async fn outlived_by_its_secret(&self, name: &str, client_id: &str) {
        self.until_gone(name).await;
        let secret = self.secret(name).await.unwrap();
        assert!(secret.owner_references().is_empty(), "{name}");
        let client = self.emulator.client(client_id).unwrap();
        assert!(client.is_active, "{name}");
        let data = secret.data.unwrap();
        assert_eq!(data["clientSecret"].0, client.client_secret.as_bytes());
    }
}

#[tokio::test]
async fn s26_a_secret_that_the_deletion_orphans_keeps_its_client() {
    let world = World::start().await;
    let operator = world.start_operator();
    let running = world.settled("running", json!({})).await;
    let stopped = world.settled("stopped", json!({})).await;
    let usual = world.settled("usual", json!({})).await;
    world.delete_orphaning("running").await;
    world.outlived_by_its_secret("running", &running).await;
    let reported = async || {
        let events = world.events("running").await;
        events.iter().any(|event| {
            event.starts_with("ClientReleased: ") && event.contains("--cascade=orphan")
        })
    };
    world
        .eventually("an event says that the client stays", reported)
        .await;
    // Deleted while no operator runs: the garbage collector is done before it starts.
    operator.crash().await;
    world.delete_orphaning("stopped").await;
    let orphaned = async || {
        let object = world.get("stopped").await;
        let secret = world.secret("stopped").await.unwrap();
        !object.finalizers().iter().any(|f| f == "orphan") && secret.owner_references().is_empty()
    };
    world.eventually("its Secret is orphaned", orphaned).await;
    let _operator = world.start_operator();
    world.outlived_by_its_secret("stopped", &stopped).await;
    // Any other deletion deactivates, and takes the Secret along.
    world.delete("usual").await;
    world.until_gone("usual").await;
    assert!(!world.emulator.client(&usual).unwrap().is_active);
    // Declared again, the object goes on with its client.
    world.declare("running", json!({})).await;
    assert_eq!(world.until_ready("running").await, running);
    assert_eq!(world.emulator.commits(Operation::Create), 3);
    world.check().await;
}
