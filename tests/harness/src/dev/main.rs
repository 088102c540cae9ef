//! `cargo dev`: a real Kubernetes cluster for development, and the commands that use it.

mod bench;
mod demo;
mod e2e;
mod generate;
mod signals;
mod soak;
mod state;
mod up;
mod with;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use harness::binaries::{self, CONTROL_PLANE, HELM_CLIENT, NODE, Release};

use crate::up::Kind;

/// Starts a real Kubernetes control plane on this machine (etcd, API server, controller manager), on request with a node
///
/// The programs are built from source the first time (Go 1.26 or newer, about ten minutes) and kept in
/// ~/.cache/provident-operator. To use other binaries, set `KUBEBUILDER_ASSETS` to the directory that contains them.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a control plane and keep it running until Ctrl-C
    ///
    /// Prints the `export KUBECONFIG=…` line for other terminals. Only one can run at a time; a second `up` prints where the first
    /// one is. Its data is deleted when it stops.
    Up {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// Return as soon as it is ready, and leave it running until `cargo dev down`
        #[arg(long)]
        detach: bool,
    },
    /// Stop the control plane that `cargo dev up` started
    Down,
    /// Start or stop a control plane with a node, on which pods run; requires root
    #[command(subcommand)]
    Node(NodeCommand),
    /// Run a command on a temporary control plane
    ///
    /// Sets `KUBECONFIG`, and `KUBECTL_DIR` to the directory that contains kubectl. The control plane stops when the command ends.
    With {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Demonstrate the operator from end to end: an `OAuthClient` becomes a Secret, with which a client gets a token
    Demo {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// Use the cluster of this kubeconfig instead of starting one. The demo installs the CRDs, the namespaces
        /// `provident-system` and `shop`, and a connection `default` there
        #[arg(long, value_name = "PATH", conflicts_with = "release")]
        kubeconfig: Option<PathBuf>,
    },
    /// Regenerate every generated file in the repository: CRDs, the chart's copies of them, install manifest, reference
    Generate(generate::Options),
    /// Test the image and the chart on a node: install, use, rotate, upgrade, roll back, kill the leader, uninstall
    ///
    /// Prints one line per step with its time, and a summary.
    E2e {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// Fail on a machine that cannot run a node, instead of skipping the test
        #[arg(long)]
        require: bool,
    },
    /// Benchmark the operator against the minimum that its work costs, and write a report
    ///
    /// Everything runs on this machine in one run, with release builds. Fails only if a promise is broken, such as
    /// an extra write or a duplicate client, and never because it is slow.
    Bench(bench::Options),
    /// Create, change and delete clients for a long time while one request in a hundred fails, then verify the result
    Soak(soak::Options),
    /// Build the programs that are missing, without starting anything
    Build {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// Also build what a node and its test need, if this machine can run a node
        #[arg(long)]
        node: bool,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Start a control plane and a node, and keep them running until Ctrl-C
    ///
    /// Can run at the same time as `cargo dev up`. The node has the image `localhost/app:1`; it cannot pull others.
    Up {
        #[command(flatten)]
        kubernetes: Kubernetes,
        /// Return as soon as it is ready, and leave it running until `cargo dev node down`
        #[arg(long)]
        detach: bool,
    },
    /// Stop what `cargo dev node up` started
    Down,
}

/// Which Kubernetes to use.
#[derive(Debug, Clone, Copy, Args)]
struct Kubernetes {
    /// Kubernetes release, such as 1.32, or `oldest` for the oldest supported one [env: `HARNESS_KUBERNETES`] [default: the newest]
    #[arg(long = "kubernetes", value_name = "VERSION")]
    release: Option<Release>,
}

impl Kubernetes {
    fn release(self) -> Result<Release> {
        Ok(self.requested()?.unwrap_or_default())
    }

    /// None if any release will do.
    fn requested(self) -> Result<Option<Release>> {
        match self.release {
            Some(release) => Ok(Some(release)),
            None => Release::from_environment(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { kubernetes, detach } => {
            up(Kind::ControlPlane, kubernetes.requested()?, detach).await
        }
        Command::Down => up::down(Kind::ControlPlane).await,
        Command::Node(NodeCommand::Up { kubernetes, detach }) => {
            up(Kind::Node, kubernetes.requested()?, detach).await
        }
        Command::Node(NodeCommand::Down) => up::down(Kind::Node).await,
        Command::With {
            kubernetes,
            command,
        } => with::with(kubernetes.release()?, &command).await,
        Command::Demo {
            kubernetes,
            kubeconfig,
        } => demo::demo(kubernetes.release()?, kubeconfig.as_deref()).await,
        Command::Generate(options) => generate::generate(&options),
        Command::E2e {
            kubernetes,
            require,
        } => e2e::e2e(kubernetes.release()?, require).await,
        Command::Bench(options) => bench::bench(&options).await,
        Command::Soak(options) => soak::soak(&options).await,
        Command::Build { kubernetes, node } => build(kubernetes.release()?, node),
    }
}

async fn up(kind: Kind, requested: Option<Release>, detach: bool) -> Result<()> {
    if detach {
        up::up_detached(kind, requested).await
    } else {
        up::up(kind, requested).await
    }
}

fn build(release: Release, node: bool) -> Result<()> {
    let mut wanted = CONTROL_PLANE.to_vec();
    if node {
        match harness::node::obstacle() {
            Some(obstacle) => eprintln!("This machine cannot run a node: {obstacle}"),
            None => wanted.extend(NODE.into_iter().chain([HELM_CLIENT])),
        }
    }
    for path in binaries::ensure(&wanted, release)?.values() {
        println!("{}", path.display());
    }
    Ok(())
}
