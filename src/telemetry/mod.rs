//! What a running process tells: its log on stderr, and traces by OTLP where an endpoint is set.

mod courier;

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber, warn};
use tracing_subscriber::filter::{EnvFilter, ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use self::courier::Courier;

/// The service's name in traces, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` has another.
const SERVICE: &str = "provident-operator";
/// How long the end of a process may wait for its last spans to be taken.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// Traces are sent where one of these says, and only then.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `--log` is no filter.
    #[error("--log {filter:?}: {source}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
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
    let parsed = EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let json = match format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !std::io::stderr().is_terminal(),
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().boxed()
    } else {
        lines.boxed()
    };
    registry()
        .with(lines.with_filter(parsed))
        .with(traces.map(Traces::layer))
        .init();
    Ok(())
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
            .with_filter(filter_fn(is_ours))
    }

    /// Sends what is left; waits for that three seconds at most.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_WITHIN));
        if let Ok(Err(error)) = ended.await {
            warn!(%error, "the last traces were not delivered");
        }
    }
}

// All our spans, and what a person reads in the log of what happened in them.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
    ours && (metadata.is_span() || *metadata.level() <= Level::INFO)
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
