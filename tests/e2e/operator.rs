//! One operator process, as far as a test can tell: its own thread, its own runtime, its own memory, its own log.

use std::io;
use std::sync::{Arc, Mutex, Once, mpsc};
use std::thread;
use std::time::Duration;

use harness::faults::Faults;
use kube::client::ClientBuilder;
use provident_operator::admin::Readiness;
use provident_operator::config::Config;
use provident_operator::metrics::Metrics;
use provident_operator::telemetry::{self, Lines, parse_filter};
use provident_operator::{cluster, manager};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tower::timeout::TimeoutLayer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// A running operator. Dropping it is a crash too.
pub struct Operator {
    /// Faults between this operator and the API server, and the record of its requests.
    pub faults: Faults,
    /// Its figures.
    pub metrics: Metrics,
    /// What its `/readyz` tells.
    pub readiness: Readiness,
    runtime: Handle,
    stop: CancellationToken,
    crash: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Operator {
    pub fn start(
        config: kube::Config,
        faults: &Faults,
        request_within: Duration,
        settings: Config,
        log: &Log,
    ) -> Self {
        let stop = CancellationToken::new();
        let (crash, crashed) = oneshot::channel();
        let (its_faults, its_stop, its_log) = (faults.clone(), stop.clone(), log.clone());
        let metrics = Metrics::default();
        let readiness = Readiness::default();
        let (its_metrics, its_readiness) = (metrics.clone(), readiness.clone());
        let (tell_runtime, told_runtime) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tell_runtime.send(runtime.handle().clone()).unwrap();
            its_log.capture(|| {
                runtime.block_on(async {
                    let client = ClientBuilder::try_from(cluster::without_retries(config))
                        .unwrap()
                        .with_layer(&its_faults.layer())
                        .with_layer(&TimeoutLayer::new(request_within))
                        .with_layer(&cluster::layers(&its_metrics))
                        .build();
                    let run = manager::run(client, settings, its_metrics, its_readiness, its_stop);
                    tokio::select! {
                        // A lost lease is in the log.
                        _ = run => {}
                        _ = crashed => {}
                    }
                });
                // Every task it spawned ends here, whatever it is doing.
                runtime.shutdown_background();
            });
        });
        Self {
            faults: faults.clone(),
            metrics,
            readiness,
            runtime: told_runtime.recv().unwrap(),
            stop,
            crash,
            thread,
        }
    }

    /// Ends it on the spot, with all it knows.
    pub async fn crash(self) {
        let _ = self.crash.send(());
        join(self.thread).await;
    }

    /// Tells it to stop, as SIGTERM does; [`Operator::stopped`] waits for the end.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Stops all of it at once, as SIGSTOP does, until the guard is dropped. Clocks run on.
    pub async fn freeze(&self) -> Frozen {
        let (thaw, thawed) = mpsc::channel();
        let (tell, frozen) = oneshot::channel();
        self.runtime.spawn(async move {
            let _ = tell.send(());
            // It has one thread.
            let _ = thawed.recv();
        });
        frozen.await.unwrap();
        Frozen(thaw)
    }

    /// Whether it has left by itself.
    pub fn has_left(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it has left by itself.
    pub async fn stopped(self) {
        let _not_crashed = self.crash;
        join(self.thread).await;
    }
}

/// Keeps an operator frozen.
pub struct Frozen(#[allow(dead_code, reason = "its drop is the thaw")] mpsc::Sender<()>);

// Off the test's own runtime, which serves the vendor meanwhile.
async fn join(thread: thread::JoinHandle<()>) {
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    joined.unwrap().expect("the operator panicked");
}

/// Everything that operators of one world logged, at TRACE for all modules, as the program writes it.
#[derive(Clone, Default)]
pub struct Log {
    text: Buffer,
    json: Buffer,
    spans: Buffer,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture(&self, run: impl FnOnce()) {
        static LOG_CRATE: Once = Once::new();
        // Sends what libraries write through the `log` crate the same way.
        LOG_CRATE.call_once(|| tracing_subscriber::registry().init());
        let filter = || parse_filter("trace,kube_client=trace,hyper=trace").unwrap();
        let (text, json, spans) = (self.text.clone(), self.json.clone(), self.spans.clone());
        let plain = Lines::Text { coloured: false };
        let own = filter_fn(|metadata| metadata.target().starts_with("provident_"));
        let subscriber = tracing_subscriber::registry()
            .with(telemetry::lines(plain, filter(), move || text.clone()))
            .with(telemetry::lines(Lines::Json, filter(), move || {
                json.clone()
            }))
            // With all fields of spans, as traces carry them.
            .with(
                fmt::layer()
                    .with_span_events(FmtSpan::CLOSE)
                    .with_writer(move || spans.clone())
                    .with_filter(own),
            );
        tracing::subscriber::with_default(subscriber, run);
    }

    pub fn text(&self) -> String {
        self.text.text()
    }

    /// The same lines as JSON.
    pub fn json(&self) -> String {
        self.json.text()
    }

    /// Spans as they ended.
    pub fn spans(&self) -> String {
        self.spans.text()
    }

    /// The operators' own lines, without the most detailed ones: for the message of a failed test.
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.contains(" TRACE "))
            .collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
