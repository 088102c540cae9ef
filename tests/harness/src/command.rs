//! A program that is run to its end.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs it, and answers what it printed.
///
/// # Errors
/// When it cannot be started, and when it fails, with what it said.
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
        let said = if stderr.is_empty() { stdout } else { stderr };
        bail!(
            "{program} {} failed ({}): {said}",
            args.join(" "),
            output.status
        );
    }
    Ok(stdout)
}
