//! `cargo dev`: a control plane to try things on.

mod bench;
mod demo;
mod soak;
mod state;
mod up;

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
    /// Measure the operator against the least that its job costs, and write a report
    ///
    /// One run, one machine, one table: everything is started for it, built as it is shipped. Fails if a promise is broken,
    /// such as a write too many or a client made twice; never for being slow.
    Bench(bench::Options),
    /// Let clients come, change and go for a long time while one request in a hundred fails, and look whether all is true
    Soak(soak::Options),
    /// End the control plane that `cargo dev up` has started
    Down,
    /// Build what is missing, without starting anything
    Build,
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
        Command::Bench(options) => bench::bench(&options).await,
        Command::Soak(options) => soak::soak(&options).await,
        Command::Down => up::down().await,
        Command::Build => {
            for path in binaries::ensure(&CONTROL_PLANE)?.values() {
                println!("{}", path.display());
            }
            Ok(())
        }
    }
}
