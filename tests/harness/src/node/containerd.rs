//! containerd, which runs the containers of the pods.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{APP_IMAGE, host, namespaces::Namespaces, network::Network};
use crate::{ControlPlane, binaries::Paths, command::output};

const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Its programs, and its files in the home directory.
#[derive(Debug)]
pub(super) struct Containerd {
    program: PathBuf,
    ctr: PathBuf,
    directory: PathBuf,
}

impl Containerd {
    pub(super) fn prepare(home: &Path, paths: &Paths, network: &Network) -> Result<Self> {
        let directory = home.join("node");
        fs::create_dir_all(directory.join("networks"))?;
        let plugins = format!("{:#}\n", network.plugins(home));
        fs::write(directory.join("networks/10-pods.conflist"), plugins)?;
        let bin = host::network_plugins().context("no network plugins")?;
        let runc = paths.get("runc").context("no runc")?;
        // The sandbox of each pod is our own image, because the node cannot pull any.
        let config = format!(
            r#"version = 3
root = "{here}/root"
state = "{here}/state"
[grpc]
address = "{here}/containerd.sock"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{APP_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true  # for a machine without CAP_SYS_RESOURCE
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{runc}"
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{bin}"]
conf_dir = "{here}/networks"
"#,
            here = directory.display(),
            runc = runc.display(),
        );
        fs::write(directory.join("containerd.toml"), config)?;
        Ok(Self {
            program: paths.get("containerd").context("no containerd")?.clone(),
            ctr: paths.get("ctr").context("no ctr")?.clone(),
            directory,
        })
    }

    pub(super) fn command(&self, namespaces: &Namespaces) -> Command {
        let mut command = namespaces.command(&self.program);
        command
            .arg("--config")
            .arg(self.directory.join("containerd.toml"));
        command
    }

    pub(super) async fn wait(&self, control_plane: &mut ControlPlane) -> Result<()> {
        let began = Instant::now();
        while output(self.ctr().arg("version")).is_err() {
            control_plane.check()?;
            ensure!(
                began.elapsed() < START_TIMEOUT,
                "containerd did not become ready"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Imports the images of an archive, where the kubelet finds them.
    pub(super) fn import(&self, archive: &Path) -> Result<()> {
        let mut ctr = self.ctr();
        ctr.args(["--namespace", "k8s.io", "images", "import"])
            .arg(archive);
        output(&mut ctr).map(drop)
    }

    pub(super) fn kill(&self, container: &str) -> Result<()> {
        let mut ctr = self.ctr();
        ctr.args([
            "--namespace",
            "k8s.io",
            "tasks",
            "kill",
            "--signal",
            "SIGKILL",
            container,
        ]);
        output(&mut ctr).map(drop)
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new(&self.ctr);
        command
            .arg("--address")
            .arg(self.directory.join("containerd.sock"));
        command
    }
}
