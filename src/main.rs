//! The program; see [`provident_operator::cli`].

use std::process::ExitCode;

use clap::Parser;
use provident_operator::cli::Cli;

// The passes of a controller share one thread. On a large node one per core would cost memory, an arena each, and bring nothing.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provident-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
