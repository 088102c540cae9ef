//! Runs programs to completion.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a command and returns its standard output.
///
/// # Errors
/// When it cannot be started, and when it fails, with its output.
pub fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {program}"))?;
    let [stdout, stderr] = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
    if !output.status.success() {
        let args: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
        let message = if stderr.is_empty() { stdout } else { stderr };
        bail!(
            "{program} {} failed ({}): {message}",
            args.join(" "),
            output.status
        );
    }
    Ok(stdout)
}
