//! `cargo dev with`.

use std::process::Command;

use anyhow::{Context, Result, bail};
use harness::{
    ControlPlane,
    binaries::{KUBERNETES_VARIABLE, Release},
};

/// Runs a command on a temporary control plane.
pub async fn with(release: Release, command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let control_plane = ControlPlane::start_release(release).await?;
    let kubectl = control_plane.binary("kubectl")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", control_plane.kubeconfig())
        .env(KUBERNETES_VARIABLE, release.version())
        .env(
            "KUBECTL_DIR",
            kubectl
                .parent()
                .context("the path of kubectl has no parent directory")?,
        );
    let ended = tokio::task::block_in_place(|| command.status());
    let status = ended.with_context(|| format!("run {program}"))?;
    if !status.success() {
        bail!("{program} ended with {status}");
    }
    Ok(())
}
