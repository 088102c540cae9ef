//! `cargo dev with`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::ControlPlane;

/// Runs a command on a control plane of its own.
pub async fn with(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let control_plane = ControlPlane::start().await?;
    let kubectl = control_plane.binary("kubectl")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", control_plane.kubeconfig())
        .env(
            "KUBECTL_DIR",
            kubectl.parent().context("kubectl is nowhere")?,
        );
    let ended = tokio::task::block_in_place(|| command.status());
    let status = ended.with_context(|| format!("run {program}"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}
