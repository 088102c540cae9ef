//! The commands: `run`, `crd`, `emulate`. Every flag has an environment name.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::admin::{self, AdminError, Readiness};
use crate::leader::Lost;
use crate::metrics::Metrics;
use crate::provident::emulator::{self, EmulateArgs, EmulatorError};
use crate::reconcile::settings::Settings;
use crate::telemetry::{self, Format, TelemetryError, Traces};
use crate::{api, cluster, controller};

/// Keeps OAuth 2.0 clients of the Provident API, and the Secrets that carry their credentials, as declared.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines are written: text on a terminal, JSON otherwise, unless told.
    #[arg(
        long,
        value_enum,
        default_value_t,
        global = true,
        env = "PROVIDENT_LOG_FORMAT"
    )]
    log_format: Format,
    /// What is logged, as a filter of levels and modules such as `info` or `provident_operator=debug`.
    #[arg(long, default_value = "info", global = true, env = "PROVIDENT_LOG")]
    log: String,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator.
    Run(RunArgs),
    /// Print the custom resource definitions as YAML.
    Crd(CrdArgs),
    /// Serve an emulation of the vendor's API, for tests and trials. It is not the vendor.
    Emulate(EmulateArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Watch only this namespace; repeat it for more. Without it: all.
    #[arg(
        long = "watch-namespace",
        value_name = "NAMESPACE",
        env = "PROVIDENT_WATCH_NAMESPACE",
        value_delimiter = ','
    )]
    watch_namespaces: Vec<String>,
    /// The operator's own namespace, where tokens of cluster connections and the binding key live.
    #[arg(long, default_value = "provident-system", env = "POD_NAMESPACE")]
    namespace: String,
    /// A host that connections may name; repeat it for more. With `http://` before it, plain HTTP is allowed.
    #[arg(
        long = "allowed-host",
        value_name = "HOST",
        default_value = "api.provident.ae",
        env = "PROVIDENT_ALLOWED_HOST",
        value_delimiter = ','
    )]
    allowed_hosts: Vec<String>,
    /// A host that connections may name and whose name may stand for an address of this machine, its network or the
    /// cluster: a gateway of your own. Written as for --allowed-host, whose hosts must have public addresses.
    #[arg(
        long = "allowed-internal-host",
        value_name = "HOST",
        env = "PROVIDENT_ALLOWED_INTERNAL_HOST",
        value_delimiter = ','
    )]
    internal_hosts: Vec<String>,
    /// Reach the vendor over the proxies that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`). The proxy then looks names up.
    #[arg(long, env = "PROVIDENT_PROXY_FROM_ENV")]
    proxy_from_env: bool,
    /// Use `ClusterProvidentConnections`. `false`: no call is made for them, so that no right without a namespace is needed.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, env = "PROVIDENT_CLUSTER_CONNECTIONS")]
    cluster_connections: bool,
    /// List and watch Secrets, metadata only. `false`: they are read by name, an edited one is repaired at the object's next
    /// verification (`spec.refreshInterval`), and a changed token is used within 30 seconds.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, env = "PROVIDENT_WATCH_SECRETS")]
    watch_secrets: bool,
    /// Name of the Secret with the binding key. It is made on first start, and belongs in the backup.
    #[arg(
        long,
        default_value = "provident-operator-binding-key",
        env = "PROVIDENT_BINDING_KEY_SECRET"
    )]
    binding_key_secret: String,
    /// Stand by while another process holds the lease: of several replicas one works. Without it this one works at once.
    #[arg(long, env = "PROVIDENT_LEADER_ELECT")]
    leader_elect: bool,
    /// Name of the Lease in the operator's own namespace. Two installs in one namespace need two names.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "provident-operator",
        env = "PROVIDENT_LEASE_NAME"
    )]
    lease_name: String,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[arg(long, default_value = "0.0.0.0:8080", env = "PROVIDENT_ADMIN_ADDRESS")]
    admin_address: SocketAddr,
    /// Objects that are reconciled at once, per watched namespace.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024), env = "PROVIDENT_CONCURRENCY")]
    concurrency: u16,
    /// Seconds that a stop waits for answers that are not stored yet.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 75,
        env = "PROVIDENT_GRACE"
    )]
    grace: u64,
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
    /// The emulator does not run.
    #[error(transparent)]
    Emulator(#[from] EmulatorError),
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
    /// Runs the command until it is done or told to stop.
    ///
    /// # Errors
    /// See [`CliError`].
    pub async fn run(self) -> Result<(), CliError> {
        match self.command {
            Command::Crd(args) => print_crds(&args),
            Command::Run(args) => {
                let traces = Traces::from_env()?;
                telemetry::begin(self.log_format, &self.log, traces.as_ref())?;
                let ended = run(args).await;
                if let Some(traces) = traces {
                    traces.end().await;
                }
                ended
            }
            Command::Emulate(args) => {
                telemetry::begin(self.log_format, &self.log, None)?;
                let stop = stop_on_signal()?;
                Ok(emulator::run(args, stop.cancelled_owned()).await?)
            }
        }
    }
}

async fn run(args: RunArgs) -> Result<(), CliError> {
    let stop = stop_on_signal()?;
    let (metrics, readiness) = (Metrics::default(), Readiness::default());
    let client = cluster::client(Config::infer().await?, &metrics)?;
    let admin_stop = CancellationToken::new();
    let address = admin::serve(
        args.admin_address,
        metrics.clone(),
        readiness.clone(),
        admin_stop.clone(),
    )
    .await?;
    info!(version = env!("CARGO_PKG_VERSION"), %address, namespace = args.namespace, watch = ?args.watch_namespaces, "starting");
    let settings = Settings {
        namespace: args.namespace,
        watch_namespaces: args.watch_namespaces,
        allowed_hosts: args.allowed_hosts,
        internal_hosts: args.internal_hosts,
        proxy_from_env: args.proxy_from_env,
        cluster_connections: args.cluster_connections,
        watch_secrets: args.watch_secrets,
        binding_key_secret: args.binding_key_secret,
        lease: args.leader_elect.then_some(args.lease_name),
        concurrency: args.concurrency,
        grace: Duration::from_secs(args.grace),
        ..Settings::default()
    };
    let ended = controller::run(client, settings, metrics, readiness, stop).await;
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
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("told to stop");
        told.cancel();
    });
    Ok(stop)
}
