//! `cargo dev`: a cluster to try things on.

mod bench;
mod demo;
mod e2e;
mod signals;
mod soak;
mod state;
mod up;
mod with;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use harness::binaries::{self, CONTROL_PLANE, HELM_CLIENT, NODE};

use crate::up::Kind;

/// A real Kubernetes on this machine: etcd, API server and controller manager; with a node where you ask for one.
///
/// What it needs is built from source once (Go 1.26 or newer, about ten minutes) and kept in
/// ~/.cache/provident-operator. `KUBEBUILDER_ASSETS` may name a directory with other binaries.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a control plane, and keep it until Ctrl-C
    ///
    /// Prints the `export KUBECONFIG=…` line to use it from another terminal. There is one at a time; a second `up` says where the
    /// first one is. Everything in it is gone when it ends.
    Up {
        /// Return as soon as it is ready, and leave it running until `cargo dev down`
        #[arg(long)]
        detach: bool,
    },
    /// Show the main job end to end: an `OAuthClient` becomes a Secret that gets a token
    Demo {
        /// Use the cluster of this kubeconfig instead of starting one. It gets the CRDs, the namespaces
        /// `provident-system` and `shop`, and a connection `default`
        #[arg(long, value_name = "PATH")]
        kubeconfig: Option<PathBuf>,
    },
    /// Measure the operator against the least that its job costs, and write a report
    ///
    /// One run, one machine, one table: everything is started for it, built as it is shipped. Fails if a promise is broken,
    /// such as a write too many or a client made twice; never for being slow.
    Bench(bench::Options),
    /// Let clients come, change and go for a long time while one request in a hundred fails, and look whether all is true
    Soak(soak::Options),
    /// End the control plane that `cargo dev up` has started
    Down,
    /// A control plane with a node, on which pods run; it needs root
    #[command(subcommand)]
    Node(NodeCommand),
    /// Test the image and the chart on a node: install, use, rotate, upgrade, roll back, kill, uninstall
    ///
    /// One line per step, with its time. Where the machine does not allow a node it says why in one line, and is done.
    E2e,
    /// Build what is missing, without starting anything
    Build {
        /// Also what a node and its test need, where the machine allows a node
        #[arg(long)]
        node: bool,
    },
    /// Run a command on a control plane of its own, which is gone when the command ends
    ///
    /// The command finds it by `KUBECONFIG`, and kubectl in the directory that `KUBECTL_DIR` names.
    With {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Start a control plane and a node, and keep them until Ctrl-C
    ///
    /// As `cargo dev up`, beside which it may run. Image `localhost/app:1` is on the node; nothing can be pulled.
    Up {
        /// Return as soon as it is ready, and leave it running until `cargo dev node down`
        #[arg(long)]
        detach: bool,
    },
    /// End what `cargo dev node up` has started
    Down,
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
        Command::Up { detach } => up(Kind::ControlPlane, detach).await,
        Command::Demo { kubeconfig } => demo::demo(kubeconfig.as_deref()).await,
        Command::Bench(options) => bench::bench(&options).await,
        Command::Soak(options) => soak::soak(&options).await,
        Command::Down => up::down(Kind::ControlPlane).await,
        Command::Node(NodeCommand::Up { detach }) => up(Kind::Node, detach).await,
        Command::Node(NodeCommand::Down) => up::down(Kind::Node).await,
        Command::With { command } => with::with(&command).await,
        Command::E2e => e2e::e2e().await,
        Command::Build { node } => build(node),
    }
}

async fn up(kind: Kind, detach: bool) -> Result<()> {
    if detach {
        up::up_detached(kind).await
    } else {
        up::up(kind).await
    }
}

fn build(node: bool) -> Result<()> {
    let mut wanted = CONTROL_PLANE.to_vec();
    if node {
        match harness::node::obstacle() {
            Some(obstacle) => eprintln!("no node on this machine: {obstacle}"),
            None => wanted.extend(NODE.into_iter().chain([HELM_CLIENT])),
        }
    }
    for path in binaries::ensure(&wanted)?.values() {
        println!("{}", path.display());
    }
    Ok(())
}
