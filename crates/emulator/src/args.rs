//! The command line of `provident-emulator`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{DEFAULT_SCOPES, Emulator, EmulatorError, Options};
use clap::Parser;

/// Serve the Provident API from memory, for tests and trials. This is not the vendor.
#[derive(Debug, Clone, Parser)]
#[command(name = "provident-emulator", version, max_term_width = 100)]
pub struct EmulatorArgs {
    /// Address and port to listen on (plain HTTP). Port 0 takes a free one; `[::]` is every IPv6 and IPv4 address
    #[arg(
        long,
        env = "PROVIDENT_EMULATOR_LISTEN",
        default_value = "127.0.0.1:8090"
    )]
    pub listen: SocketAddr,
    /// Bearer token that callers must send; if unset, a random one is generated and printed
    #[arg(long, env = "PROVIDENT_EMULATOR_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File that keeps the clients across restarts. It holds their secrets in plain text (mode 0600)
    #[arg(long, env = "PROVIDENT_EMULATOR_STATE_FILE", value_name = "PATH")]
    pub state_file: Option<PathBuf>,
    /// Answer {"data": …} instead of the bare object
    #[arg(long, env = "PROVIDENT_EMULATOR_ENVELOPE")]
    pub envelope: bool,
    /// A scope that clients may have; repeat the flag, or separate with commas
    #[arg(long = "scope", env = "PROVIDENT_EMULATOR_SCOPES", value_delimiter = ',', default_values = DEFAULT_SCOPES)]
    pub scopes: Vec<String>,
    /// Secret of an administrator client, which lets an operator get access tokens for the API; if unset, there is no such client
    #[arg(
        long,
        env = "PROVIDENT_EMULATOR_ADMIN_CLIENT_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub admin_client_secret: Option<String>,
    /// clientId of the administrator client
    #[arg(
        long,
        env = "PROVIDENT_EMULATOR_ADMIN_CLIENT_ID",
        default_value = "provident-admin",
        value_name = "CLIENT_ID"
    )]
    pub admin_client_id: String,
}

/// Serves until `stop` completes. Prints the base URL, and a generated token, to standard output.
///
/// # Errors
/// The address, the state file, or the random token, as [`EmulatorError`] says.
pub async fn run(args: EmulatorArgs, stop: impl Future<Output = ()>) -> Result<(), EmulatorError> {
    let generated_token = args.token.is_none();
    let emulator = Emulator::start(Options {
        listen: args.listen,
        token: args.token,
        state_file: args.state_file,
        envelope: args.envelope,
        scopes: args.scopes,
        administrator: args
            .admin_client_secret
            .map(|secret| (args.admin_client_id, secret)),
    })
    .await?;
    // A closed standard output is no reason to stop.
    let _ = writeln!(io::stdout(), "base URL: {}", emulator.base_url());
    if generated_token {
        let _ = writeln!(io::stdout(), "token: {}", emulator.token());
    }
    stop.await;
    emulator.stop().await;
    Ok(())
}
