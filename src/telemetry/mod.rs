//! What a running process reports: its log on stderr, and traces by OTLP where an endpoint is set.

mod courier;
mod log;

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber, error, warn};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};

use self::courier::Courier;
pub use self::log::{Lines, lines, parse_filter};

/// The service's name in traces, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` has another.
const SERVICE: &str = "provident-operator";
/// How long the end of a process may wait for its last spans to be taken.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// Traces are sent where one of these says, and only then.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The value of `--log-filter` is no filter.
    #[error(
        "--log-filter {filter:?}: {reason}. Use levels and modules, for example `info` or `provident_operator=debug`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The environment's settings for traces.
    #[error("OTEL_EXPORTER_OTLP_…: {0}")]
    Traces(String),
}

/// How log lines are written.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Begins the log, and with it the traces.
///
/// # Errors
/// `filter` is none, or the environment's settings for traces cannot be used.
pub fn begin(format: Format, filter: &str, traces: Option<&Traces>) -> Result<(), TelemetryError> {
    let filter = parse_filter(filter)?;
    let terminal = std::io::stderr().is_terminal();
    let form = match format {
        Format::Json => Lines::Json,
        Format::Auto if !terminal => Lines::Json,
        Format::Text | Format::Auto => Lines::Text {
            // <https://no-color.org>
            coloured: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        },
    };
    registry()
        .with(lines(form, filter, std::io::stderr))
        .with(traces.map(Traces::layer))
        .init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

// A formatted message may quote anything, so only a literal one is logged.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let message = panic.payload().downcast_ref::<&'static str>();
    error!(
        location,
        detail = message,
        "Panicked: please report this as a bug"
    );
}

/// One trace per pass over an object, with its steps, its calls to the vendor and its requests to the API server.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Traces as the environment wants them: `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin, over HTTP with protobuf. `None`
    /// without an endpoint, or with `OTEL_SDK_DISABLED=true`.
    ///
    /// # Errors
    /// The endpoint is no URL, or a header or a compression cannot be used.
    pub fn from_env() -> Result<Option<Self>, TelemetryError> {
        let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
        let disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value == "true");
        if disabled || !ENDPOINTS.iter().any(set) {
            return Ok(None);
        }
        let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces(error.to_string());
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Courier::new().map_err(|error| failed(&error))?)
            .build()
            .map_err(|error| failed(&error))?;
        // A bounded queue and a thread of its own: when nobody takes the spans they are dropped, and no pass waits.
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self(provider)))
    }

    /// The layer that turns spans into traces.
    fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced))
    }

    /// Sends what is left; waits for that three seconds at most.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_WITHIN));
        if let Ok(Err(error)) = ended.await {
            warn!(%error, "Failed to deliver the last traces");
        }
    }
}

// All our spans, and what a person reads in the log of what happened in them.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    log::is_own(metadata) && (metadata.is_span() || *metadata.level() <= Level::INFO)
}

fn resource() -> Resource {
    let named = Resource::builder().build();
    let pod = std::env::var("POD_NAME").ok();
    let pod = pod.map(|pod| opentelemetry::KeyValue::new("service.instance.id", pod));
    let name = named.get(&opentelemetry::Key::from_static_str("service.name"));
    let unnamed = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let builder =
        Resource::builder()
            .with_attributes(pod)
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ));
    if unnamed {
        return builder.with_service_name(SERVICE).build();
    }
    builder.build()
}
