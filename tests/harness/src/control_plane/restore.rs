//! Restores etcd to an earlier state, as after a disaster: later writes are lost, and resource versions continue from there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ControlPlane, boot};

/// etcd's data directory, in the home directory.
const DATA: &str = "etcd";

/// A copy of etcd's data, which is deleted with its control plane.
#[derive(Debug)]
pub struct Backup(PathBuf);

impl ControlPlane {
    /// Stops the programs, copies etcd's data, and starts the programs again on the same ports.
    ///
    /// # Errors
    /// For an existing cluster, when the data cannot be copied, and as [`ControlPlane::start`].
    pub async fn back_up(&mut self) -> Result<Backup> {
        let home = self.stop_programs()?;
        let backup = Backup(home.join("etcd.backup"));
        copy(&home.join(DATA), &backup.0)?;
        self.start_again().await?;
        Ok(backup)
    }

    /// Stops the programs, restores etcd's data, and starts the programs again on the same ports.
    ///
    /// # Errors
    /// As [`ControlPlane::back_up`].
    pub async fn restore(&mut self, backup: &Backup) -> Result<()> {
        let data = self.stop_programs()?.join(DATA);
        fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        copy(&backup.0, &data)?;
        self.start_again().await
    }

    fn stop_programs(&mut self) -> Result<PathBuf> {
        let processes = self.processes.as_mut().context(NOT_OURS)?;
        processes.kill_all()?;
        Ok(processes.home().to_owned())
    }

    async fn start_again(&mut self) -> Result<()> {
        let processes = self.processes.as_mut().context(NOT_OURS)?;
        let components = self.components.as_ref().context(NOT_OURS)?;
        boot(processes, components, &self.config).await
    }
}

const NOT_OURS: &str =
    "only a control plane that this process started can be backed up and restored";

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let (from, to) = (entry.as_ref().map(fs::DirEntry::path), to.to_owned());
        let from = from.map_err(|error| anyhow::anyhow!("{}: {error}", failed()))?;
        let to = to.join(from.file_name().with_context(failed)?);
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to).with_context(failed)?;
        }
    }
    Ok(())
}
