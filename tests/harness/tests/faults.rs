//! Each fault with a real API server: what the client sees, and what the server has done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use harness::{
    ControlPlane,
    faults::{Effect, Fault, Faults, RequestInfo},
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams},
    client::ClientBuilder,
};
use serde_json::json;
use tokio::{sync::Notify, time::timeout};

const SOON: Duration = Duration::from_secs(20);

/// A namespace, with a client that is subject to faults and one that is not.
struct Scene {
    namespace: String,
    faults: Faults,
    maps: Api<ConfigMap>,
    direct: Api<ConfigMap>,
}

async fn scene() -> Scene {
    let mut config = ControlPlane::shared().await.unwrap().client_config();
    config.default_retry = false;
    let faults = Faults::new();
    let client = ClientBuilder::try_from(config.clone())
        .unwrap()
        .with_layer(&faults.layer())
        .build();
    let direct = Client::try_from(config).unwrap();
    let object = json!({ "metadata": { "generateName": "faults-" } });
    let object: Namespace = serde_json::from_value(object).unwrap();
    let namespaces = Api::all(direct.clone());
    let created = namespaces.create(&PostParams::default(), &object).await;
    let namespace = created.unwrap().metadata.name.unwrap();
    let maps = Api::namespaced(client, &namespace);
    Scene {
        faults,
        maps,
        direct: Api::namespaced(direct, &namespace),
        namespace,
    }
}

impl Scene {
    async fn create(&self, name: &str) -> Result<ConfigMap, Error> {
        self.maps.create(&PostParams::default(), &map(name)).await
    }

    async fn exists(&self, name: &str) -> bool {
        self.direct.get_opt(name).await.unwrap().is_some()
    }

    fn on_create(&self, fault: Fault) {
        self.faults.add_rule(move |request| {
            (request.is_write() && request.resource == "configmaps").then(|| fault.clone())
        });
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

fn code(result: Result<ConfigMap, Error>) -> u16 {
    match result {
        Err(Error::Api(status)) => status.code,
        other => panic!("not an answer of the API server: {other:?}"),
    }
}

#[tokio::test]
async fn a_request_that_fails_before_does_not_reach_the_server_and_one_that_fails_after_does() {
    let scene = scene().await;
    scene.on_create(Fault::before(Effect::Fail));
    let error = scene.create("before").await.unwrap_err();
    assert!(matches!(error, Error::Service(_)), "{error:?}");
    assert!(!scene.exists("before").await);
    assert_eq!(scene.faults.writes(), 0);

    scene.faults.clear();
    scene.on_create(Fault::after(Effect::Fail));
    scene.create("after").await.unwrap_err();
    assert!(scene.exists("after").await);
    assert_eq!(scene.faults.writes(), 1);
    assert_eq!(scene.faults.records().last().unwrap().status, Some(201));

    scene.faults.clear();
    scene.create("unharmed").await.unwrap();
}

#[tokio::test]
async fn an_injected_status_reads_like_the_real_one() {
    let scene = scene().await;
    for code_wanted in [403, 409, 429, 500, 504] {
        scene.faults.clear();
        scene.on_create(Fault::before(Effect::Answer(code_wanted)));
        assert_eq!(code(scene.create("refused").await), code_wanted);
    }
    assert!(!scene.exists("refused").await);

    scene.faults.clear();
    scene.on_create(Fault::after(Effect::Answer(504)));
    assert_eq!(code(scene.create("committed").await), 504);
    assert!(scene.exists("committed").await);

    // kube classifies errors by reason, so the reason must be the one that the server itself returns.
    scene.faults.clear();
    let Error::Api(real) = scene.create("committed").await.unwrap_err() else {
        panic!()
    };
    scene.on_create(Fault::before(Effect::Answer(409)));
    let Error::Api(ours) = scene.create("other").await.unwrap_err() else {
        panic!()
    };
    assert_eq!((ours.reason, ours.code), (real.reason, real.code));
}

#[tokio::test]
async fn a_hang_lasts_and_a_delay_does_not() {
    let scene = scene().await;
    scene.on_create(Fault::after(Effect::Hang));
    assert!(
        timeout(Duration::from_millis(500), scene.create("hangs"))
            .await
            .is_err()
    );
    assert!(scene.exists("hangs").await);

    scene.faults.clear();
    let delay = Duration::from_millis(300);
    scene.on_create(Fault::before(Effect::Delay(delay)));
    let start = std::time::Instant::now();
    scene.create("late").await.unwrap();
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn a_hook_acts_between_check_and_write() {
    let scene = scene().await;
    let direct = scene.direct.clone();
    let namespace = scene.namespace.clone();
    scene.on_create(Fault::before(Effect::run(move |request: RequestInfo| {
        let (direct, namespace) = (direct.clone(), namespace.clone());
        async move {
            assert_eq!(request.namespace, Some(namespace));
            direct
                .create(&PostParams::default(), &map("taken"))
                .await
                .unwrap();
        }
    })));
    assert!(
        scene.maps.get_opt("taken").await.unwrap().is_none(),
        "the check passes"
    );
    assert_eq!(code(scene.create("taken").await), 409);
}

#[tokio::test]
async fn a_hang_in_a_hook_is_noticed_when_it_is_reached() {
    let scene = scene().await;
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    scene.on_create(Fault::after(Effect::run(move |_| {
        let tell = tell.clone();
        async move {
            tell.notify_one();
            std::future::pending::<()>().await;
        }
    })));
    let maps = scene.maps.clone();
    let task = tokio::spawn(async move { maps.create(&PostParams::default(), &map("x")).await });
    timeout(SOON, reached.notified())
        .await
        .expect("the request gets there");
    task.abort();
    assert!(scene.exists("x").await);
}

#[tokio::test]
async fn only_request_k_fails() {
    let scene = scene().await;
    scene.faults.on_request(2, Fault::before(Effect::Fail));
    let watch = scene
        .maps
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap(); // does not count
    scene.create("first").await.unwrap();
    scene.create("second").await.unwrap_err();
    scene.create("third").await.unwrap();
    drop(watch);
}

#[tokio::test]
async fn an_outage_fails_all_requests_and_breaks_watches_until_it_ends() {
    let scene = scene().await;
    let mut watch = Box::pin(
        scene
            .maps
            .watch(&WatchParams::default(), "0")
            .await
            .unwrap(),
    );
    scene.create("seen").await.unwrap();
    timeout(SOON, watch.next())
        .await
        .unwrap()
        .expect("an event")
        .expect("no error");

    scene.faults.set_outage(true);
    // Another event may come in before the break.
    let broken = watch.any(|event| std::future::ready(event.is_err()));
    assert!(
        timeout(SOON, broken).await.unwrap(),
        "the watch ends with an error"
    );
    scene.create("lost").await.unwrap_err();
    assert!(
        scene
            .maps
            .watch(&WatchParams::default(), "0")
            .await
            .is_err()
    );
    assert!(!scene.exists("lost").await);

    scene.faults.set_outage(false);
    scene.create("back").await.unwrap();
    scene.maps.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn counts_writes_and_dry_runs() {
    let scene = scene().await;
    scene.create("a").await.unwrap();
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    scene.maps.create(&dry_run, &map("b")).await.unwrap();
    let labels = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    scene
        .maps
        .patch("a", &PatchParams::default(), &labels)
        .await
        .unwrap();
    scene.maps.get("a").await.unwrap();
    scene
        .maps
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!((scene.faults.writes(), scene.faults.dry_runs()), (3, 1));
    assert_eq!(
        scene.faults.writes_by_resource(),
        BTreeMap::from([("configmaps".to_owned(), 3)])
    );
    let sequences: Vec<u64> = scene
        .faults
        .records()
        .iter()
        .map(|record| record.request.sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    scene.faults.forget();
    assert_eq!(scene.faults.writes(), 0);
}
