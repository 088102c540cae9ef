//! The program; see [`provident_operator::cli`].

use std::process::ExitCode;

use clap::Parser;
use provident_operator::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provident-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
