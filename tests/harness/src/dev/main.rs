//! `cargo dev`: a control plane to try things on.

mod demo;
mod state;
mod up;
mod with;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use harness::binaries::{self, CONTROL_PLANE};

/// A real Kubernetes control plane on this machine: etcd, API server and controller manager, without nodes.
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
    /// End the control plane that `cargo dev up` has started
    Down,
    /// Build what is missing, without starting anything
    Build,
    /// Run a command on a control plane of its own, which is gone when the command ends
    ///
    /// The command finds it by `KUBECONFIG`, and kubectl in the directory that `KUBECTL_DIR` names.
    With {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
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
        Command::Up { detach: false } => up::up().await,
        Command::Up { detach: true } => up::up_detached().await,
        Command::Demo { kubeconfig } => demo::demo(kubeconfig.as_deref()).await,
        Command::Down => up::down().await,
        Command::With { command } => with::with(&command).await,
        Command::Build => {
            for path in binaries::ensure(&CONTROL_PLANE)?.values() {
                println!("{}", path.display());
            }
            Ok(())
        }
    }
}
