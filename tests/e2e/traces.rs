//! Traces, as a collector gets them from the program itself.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use harness::ControlPlane;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::world::World;

/// A collector: what it was sent, in the order it came.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start() -> (Self, SocketAddr) {
        async fn take(State(collector): State<Collector>, body: Bytes) {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            collector.0.lock().unwrap().push(request);
        }
        let collector = Self::default();
        let app = Router::new().route("/v1/traces", post(take));
        let app = app.with_state(collector.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// What all of them carry.
    fn resource(&self, key: &str) -> String {
        let requests = self.0.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.clone().unwrap();
        let found = resource.attributes.into_iter().find(|a| a.key == key);
        text(found.and_then(|a| a.value).and_then(|value| value.value))
    }
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|a| a.key == key);
    text(
        found
            .and_then(|a| a.value.clone())
            .and_then(|value| value.value),
    )
}

/// The program, and where its log goes.
struct Program {
    process: Child,
    log: TempDir,
}

impl Program {
    async fn start(world: &World, collector: SocketAddr, delay: &str) -> Self {
        let log = TempDir::new().unwrap();
        let stderr = File::create(log.path().join("log")).unwrap();
        let plane = ControlPlane::shared().await.unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_provident-operator"))
            .args([
                "run",
                "--metrics-bind-address",
                "127.0.0.1:0",
                "--log-filter",
                "trace",
            ])
            .args(["--namespace", &world.system])
            .args(["--watch-namespace", &world.namespace])
            .arg(format!(
                "--allowed-internal-host=http://{}",
                world.emulator.address()
            ))
            .env("KUBECONFIG", plane.kubeconfig())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
            .env("OTEL_BSP_SCHEDULE_DELAY", delay)
            .stdin(Stdio::null())
            .stderr(stderr)
            .spawn();
        Self {
            process: process.unwrap(),
            log,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap()
    }

    /// Tells it to stop; how long that took, and its log, which the world's oracles look through too.
    async fn stop(mut self, world: &World) -> (Duration, String) {
        let pid = self.process.id().to_string();
        let reported = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(reported.unwrap().success());
        let start = Instant::now();
        let left = async || self.process.try_wait().unwrap().is_some();
        world.eventually("it has left", left).await;
        let log = self.log();
        world.log.clone().write_all(log.as_bytes()).unwrap();
        (start.elapsed(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_create_is_one_trace_with_its_vendor_call_and_its_writes() {
    let world = World::start().await;
    let (collector, address) = Collector::start().await;
    // Nothing is sent before the end: what arrives was flushed by it.
    let program = Program::start(&world, address, "3600000").await;
    let client_id = world.settled("web", json!({})).await;
    program.stop(&world).await;
    let spans = collector.spans();
    // The oracles look for secrets there too.
    write!(world.log.clone(), "{spans:?}").unwrap();

    assert_eq!(collector.resource("service.name"), "provident-operator");
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let creates: Vec<_> = named("vendor")
        .filter(|span| attribute(span, "operation") == "create")
        .collect();
    let [create] = creates[..] else {
        panic!("{} calls that create", creates.len());
    };
    assert_eq!(attribute(create, "code"), "201");
    assert_eq!(create.kind, SpanKind::Client as i32);
    let of_trace = |name| named(name).filter(|span| span.trace_id == create.trace_id);
    let roots: Vec<_> = spans
        .iter()
        .filter(|span| span.trace_id == create.trace_id && span.parent_span_id.is_empty())
        .collect();
    let [root] = roots[..] else {
        panic!("{} roots", roots.len());
    };
    assert_eq!(root.name, "reconcile");
    let object = world.get("web").await;
    for (key, value) in [
        ("kind", "OAuthClient"),
        ("namespace", &world.namespace),
        ("name", "web"),
        ("uid", &object.metadata.uid.unwrap()),
        ("generation", "1"),
        ("outcome", "success"),
    ] {
        assert_eq!(attribute(root, key), value, "{key}");
    }
    let steps: Vec<_> = of_trace("step").collect();
    let parent = steps
        .iter()
        .find(|step| step.span_id == create.parent_span_id);
    assert_eq!(attribute(parent.unwrap(), "step"), "Create");
    assert!(steps.iter().all(|step| step.parent_span_id == root.span_id));
    let writes: Vec<_> = of_trace("api_server")
        .map(|span| (attribute(span, "verb"), attribute(span, "resource")))
        .collect();
    for (verb, resource) in [("patch", "oauthclients/status"), ("create", "secrets")] {
        let such = (verb.to_owned(), resource.to_owned());
        assert!(writes.contains(&such), "{such:?} is not among {writes:?}");
    }
    // Watches belong to no pass, and make no traces.
    for span in spans.iter().filter(|span| span.parent_span_id.is_empty()) {
        assert_eq!(span.name, "reconcile");
    }
    assert!(world.is_active(&client_id));
    world.check().await;
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_nothing_and_is_told_of_once() {
    let world = World::start().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let program = Program::start(&world, address, "50").await;
    let reported = async || program.log().contains("Failed to deliver traces");
    world
        .eventually_within(Duration::from_mins(1), "it is logged", reported)
        .await;
    let start = Instant::now();
    world.settled("web", json!({})).await;
    println!("settled in {:?} without a collector", start.elapsed());
    let (took, log) = program.stop(&world).await;
    // Three seconds for the traces, and what a stop takes.
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(log.matches("Failed to deliver traces").count(), 1);
    world.check().await;
}
