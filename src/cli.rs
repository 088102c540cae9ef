//! The commands: `run` and `crd`. Every flag has an environment name.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::admin::{self, AdminError, Readiness};
use crate::config::Config;
use crate::leader::Lost;
use crate::metrics::Metrics;
use crate::telemetry::{self, Format, TelemetryError, Traces};
use crate::{cluster, manager};
use provident_core::api;

/// Manage OAuth 2.0 clients in the Provident API and the Secrets that hold their credentials.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log format. The default is text on a terminal and JSON otherwise
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "PROVIDENT_LOG_FORMAT"
    )]
    log_format: Format,
    /// What to log, as a filter of levels and modules, for example `info` or `provident_operator=debug`. Libraries never
    /// log, because some would log credentials
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        global = true,
        env = "PROVIDENT_LOG_FILTER"
    )]
    log_filter: String,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator
    Run(RunArgs),
    /// Print the `CustomResourceDefinitions` as YAML
    Crd(CrdArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Watch only this namespace; repeat the flag for more. The default is all namespaces
    #[arg(
        long = "watch-namespace",
        value_name = "NAMESPACE",
        env = "PROVIDENT_WATCH_NAMESPACE",
        value_delimiter = ','
    )]
    watch_namespaces: Vec<String>,
    /// The operator's own namespace, which holds the Secrets of cluster connections and the binding key
    #[arg(long, default_value = "provident-system", env = "POD_NAMESPACE")]
    namespace: String,
    /// Host that connections may use; repeat the flag for more. Prefix it with `http://` to allow plain HTTP
    #[arg(
        long = "allowed-host",
        value_name = "HOST",
        default_value = "api.provident.ae",
        env = "PROVIDENT_ALLOWED_HOST",
        value_delimiter = ','
    )]
    allowed_hosts: Vec<String>,
    /// Host that connections may use and that may resolve to an address of this machine, its network or the cluster, such as
    /// an internal gateway. Same format as --allowed-host, whose hosts must resolve to public addresses
    #[arg(
        long = "allowed-internal-host",
        value_name = "HOST",
        env = "PROVIDENT_ALLOWED_INTERNAL_HOST",
        value_delimiter = ','
    )]
    internal_hosts: Vec<String>,
    /// Use `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` for vendor requests. The proxy then resolves host names
    #[arg(long, env = "PROVIDENT_PROXY_FROM_ENV")]
    proxy_from_env: bool,
    /// Ignore `ClusterProvidentConnections`, so that the operator needs no cluster-wide rights
    #[arg(long, env = "PROVIDENT_NO_CLUSTER_CONNECTIONS")]
    no_cluster_connections: bool,
    /// Do not list or watch Secrets. The operator then reads them by name: it repairs an edited Secret at the next
    /// verification (`spec.refreshInterval`) and picks up a changed token within 30 seconds
    #[arg(long, env = "PROVIDENT_NO_WATCH_SECRETS")]
    no_watch_secrets: bool,
    /// Name of the Secret with the binding key. The operator creates it on first start; include it in backups
    #[arg(
        long,
        value_name = "NAME",
        default_value = "provident-operator-binding-key",
        env = "PROVIDENT_BINDING_KEY_SECRET"
    )]
    binding_key_secret: String,
    /// Elect a leader among several replicas. Without this flag the process starts working at once
    #[arg(long, env = "PROVIDENT_LEADER_ELECT")]
    leader_elect: bool,
    /// Name of the Lease in the operator's namespace. Two installations in one namespace need two names
    #[arg(
        long,
        value_name = "NAME",
        default_value = "provident-operator",
        env = "PROVIDENT_LEASE_NAME"
    )]
    lease_name: String,
    /// Address that serves `/livez`, `/readyz` and `/metrics`. `[::]` is every IPv6 and IPv4 address
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "[::]:8080",
        env = "PROVIDENT_METRICS_BIND_ADDRESS"
    )]
    metrics_bind_address: SocketAddr,
    /// Number of objects to reconcile at the same time, per watched namespace
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024), env = "PROVIDENT_MAX_CONCURRENT_RECONCILES")]
    max_concurrent_reconciles: u16,
    /// Time to wait on shutdown for pending results to be saved, for example `75s` or `2m`
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "75s",
        value_parser = api::parse_duration,
        env = "PROVIDENT_SHUTDOWN_GRACE_PERIOD"
    )]
    shutdown_grace_period: Duration,
}

#[derive(Args)]
struct CrdArgs {
    /// Write one file per kind into this directory instead of printing them.
    #[arg(long, value_name = "DIR", env = "PROVIDENT_CRD_OUTPUT_DIR")]
    output_dir: Option<PathBuf>,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Neither log nor traces as asked for.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// There is no kubeconfig, and no service account either.
    #[error("no cluster: {0}. Set KUBECONFIG, or run in a pod with a service account")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// The kubeconfig cannot be used.
    #[error("the cluster's configuration cannot be used: {0}")]
    Cluster(#[from] kube::Error),
    /// The admin server does not run.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A definition could not be printed.
    #[error("a definition could not be printed: {0}")]
    Crd(String),
    /// Another process leads by now, or may.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The system does not take signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signal(std::io::Error),
}

impl Cli {
    /// Runs the command until it is done or receives a stop signal.
    ///
    /// # Errors
    /// See [`CliError`].
    pub async fn run(self) -> Result<(), CliError> {
        match self.command {
            Command::Crd(args) => print_crds(&args),
            Command::Run(args) => {
                let traces = Traces::from_env()?;
                telemetry::begin(self.log_format, &self.log_filter, traces.as_ref())?;
                let ended = run(args).await;
                if let Some(traces) = traces {
                    traces.end().await;
                }
                ended
            }
        }
    }
}

async fn run(args: RunArgs) -> Result<(), CliError> {
    let stop = stop_on_signal()?;
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    let client = cluster::client(kube::Config::infer().await?, &metrics)?;
    let admin_stop = CancellationToken::new();
    let address = admin::serve(
        args.metrics_bind_address,
        metrics.clone(),
        readiness.clone(),
        admin_stop.clone(),
    )
    .await?;
    info!(version = env!("CARGO_PKG_VERSION"), %address, namespace = args.namespace, watch = ?args.watch_namespaces, "starting");
    let config = Config {
        namespace: args.namespace,
        watch_namespaces: args.watch_namespaces,
        allowed_hosts: args.allowed_hosts,
        internal_hosts: args.internal_hosts,
        proxy_from_env: args.proxy_from_env,
        cluster_connections: !args.no_cluster_connections,
        watch_secrets: !args.no_watch_secrets,
        binding_key_secret: args.binding_key_secret,
        lease: args.leader_elect.then_some(args.lease_name),
        max_concurrent_reconciles: args.max_concurrent_reconciles,
        shutdown_grace_period: args.shutdown_grace_period,
        ..Config::default()
    };
    let ended = manager::run(client, config, metrics, readiness, stop).await;
    admin_stop.cancel();
    info!("stopped");
    Ok(ended?)
}

fn print_crds(args: &CrdArgs) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Crd(error.to_string());
    for crd in api::crds() {
        let yaml = api::yaml(&crd).map_err(|error| failed(&error))?;
        let written = match &args.output_dir {
            None => writeln!(std::io::stdout(), "---\n{}", yaml.trim_end()),
            Some(dir) => std::fs::write(dir.join(api::file_name(&crd)), yaml),
        };
        written.map_err(|error| failed(&error))?;
    }
    Ok(())
}

// SIGTERM is how Kubernetes stops a pod; Ctrl-C is how a person does.
fn stop_on_signal() -> Result<CancellationToken, CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signal)?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("Received a stop signal; shutting down");
        stopping.cancel();
    });
    Ok(stop)
}
