//! `provident-operator emulate`: the emulator as a program of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{DEFAULT_SCOPES, Emulator, EmulatorError, Options};

/// Serve the vendor's API from memory, for tests and trials. This is not the vendor.
#[derive(Debug, Clone, Args)]
pub struct EmulateArgs {
    /// Address and port to listen on; port 0 takes a free one. Plain HTTP
    #[arg(
        long,
        env = "PROVIDENT_EMULATOR_LISTEN",
        default_value = "127.0.0.1:8090"
    )]
    pub listen: SocketAddr,
    /// Bearer token that callers must send; without it a random one is made and printed
    #[arg(long, env = "PROVIDENT_EMULATOR_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File that keeps the clients through a restart. It holds their secrets in plain text (mode 0600)
    #[arg(long, env = "PROVIDENT_EMULATOR_STATE_FILE", value_name = "PATH")]
    pub state_file: Option<PathBuf>,
    /// Answer {"data": …} instead of the bare object
    #[arg(long, env = "PROVIDENT_EMULATOR_ENVELOPE")]
    pub envelope: bool,
    /// A scope that clients may have; repeatable, or comma separated
    #[arg(long = "scope", env = "PROVIDENT_EMULATOR_SCOPES", value_delimiter = ',', default_values = DEFAULT_SCOPES)]
    pub scopes: Vec<String>,
}

/// Serves until `stop` is done. The base URL, and a token made here, are printed to standard output.
///
/// # Errors
/// The address, the state file, or the random token, as [`EmulatorError`] says.
pub async fn run(args: EmulateArgs, stop: impl Future<Output = ()>) -> Result<(), EmulatorError> {
    let made_here = args.token.is_none();
    let emulator = Emulator::start(Options {
        listen: args.listen,
        token: args.token,
        state_file: args.state_file,
        envelope: args.envelope,
        scopes: args.scopes,
    })
    .await?;
    // Nobody may be reading: that is no reason to stop.
    let _ = writeln!(io::stdout(), "base URL: {}", emulator.base_url());
    if made_here {
        let _ = writeln!(io::stdout(), "token: {}", emulator.token());
    }
    stop.await;
    emulator.stop().await;
    Ok(())
}
