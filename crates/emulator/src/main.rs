//! The emulator as a program of its own; see [`provident_emulator`].

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use provident_emulator::EmulatorArgs;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(EmulatorArgs::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provident-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: EmulatorArgs) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(provident_emulator::run(args, stop).await?)
}
