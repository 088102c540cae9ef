//! A node for the control plane: scheduler, kubelet, containerd, runc and kube-proxy, so that pods really run.
//!
//! Everything runs in its own Linux namespaces (processes, mounts, network). When they end, the kernel removes every process,
//! mount, link and packet filter in them, so the machine is unchanged afterwards, even if we are killed. Only cgroups need to be
//! removed explicitly.
//!
//! A node requires root and some Debian packages; [`obstacle`] says what is missing. Each control plane has at most one node, and
//! any number of them can run on one machine.

mod cgroups;
mod containerd;
mod dns;
mod host;
mod image;
mod kubelet;
mod namespaces;
mod network;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::{Api, Client};
use tokio::task::JoinHandle;

use crate::{
    ControlPlane,
    binaries::{self, CONTROL_PLANE, NODE, Release},
    control_plane::{Processes, tail},
};
use containerd::Containerd;
use kubelet::Programs;
use namespaces::Namespaces;
use network::Network;

pub use host::{PACKAGES, obstacle};
pub use image::{APP_IMAGE, Store};

/// The node's name, which is also in the kubelet's certificate.
const NAME: &str = "dev";
const READY_TIMEOUT: Duration = Duration::from_mins(2);

/// A cluster with one node. It stops when a [`ControlPlane`] would.
#[derive(Debug)]
pub struct Node {
    control_plane: ControlPlane,
    containerd: Containerd,
    dns: JoinHandle<()>,
}

impl Node {
    /// Starts a control plane and a node, and waits until the node is ready. It has the image [`APP_IMAGE`].
    ///
    /// # Errors
    /// As [`ControlPlane::start`], and when the machine cannot run a node; see [`obstacle`].
    pub async fn start(release: Release) -> Result<Self> {
        let wanted = [CONTROL_PLANE.as_slice(), &NODE].concat();
        let build = move || binaries::ensure(&wanted, release);
        let paths = tokio::task::spawn_blocking(build).await??;
        let mut processes = Processes::new()?;
        let home = processes.home().to_owned();
        let cgroup = cgroups::create(&mut processes)?;
        let namespaces = Namespaces::create(&mut processes)?;
        let network = Network::create(&namespaces)?;
        let mut control_plane = ControlPlane::start_at(processes, network.host(), release).await?;
        let client = Client::try_from(control_plane.client_config())?;
        let dns = dns::serve(network.host(), client.clone()).await?;

        let programs = Programs {
            home: &home,
            paths: &paths,
            namespaces: &namespaces,
            network: &network,
        };
        control_plane.spawn("kube-scheduler", programs.scheduler())?;
        let containerd = Containerd::prepare(&home, &paths, &network)?;
        control_plane.spawn("containerd", containerd.command(&namespaces))?;
        containerd.wait(&mut control_plane).await?;
        containerd.import(&image::app(&home)?)?;
        programs.configure(&cgroup)?;
        let log = control_plane.spawn("kubelet", programs.kubelet())?;
        control_plane.spawn("kube-proxy", programs.proxy())?;
        let mut node = Self {
            control_plane,
            containerd,
            dns,
        };
        node.ready(client, &log).await?;
        Ok(node)
    }

    /// The control plane.
    #[must_use]
    pub const fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Imports the images of an archive into the node.
    ///
    /// # Errors
    /// When containerd rejects the archive.
    pub fn import(&self, archive: &Path) -> Result<()> {
        self.containerd.import(archive)
    }

    /// Kills the process of a container with SIGKILL, by the container's id.
    ///
    /// # Errors
    /// When containerd does not know the container.
    pub fn kill(&self, container: &str) -> Result<()> {
        self.containerd.kill(container)
    }

    /// Checks that every program is still running.
    ///
    /// # Errors
    /// When one has ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.control_plane.check()
    }

    async fn ready(&mut self, client: Client, log: &Path) -> Result<()> {
        let (nodes, began) = (Api::<NodeObject>::all(client), Instant::now());
        loop {
            self.check()?;
            if nodes
                .get_opt(NAME)
                .await?
                .is_some_and(|node| is_ready(&node))
            {
                return Ok(());
            }
            if began.elapsed() > READY_TIMEOUT {
                bail!(
                    "the node is not ready after {READY_TIMEOUT:?}; the end of kubelet's log:\n{}",
                    tail(log)
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.dns.abort();
    }
}

fn is_ready(node: &NodeObject) -> bool {
    let status = node.status.as_ref();
    let mut conditions = status
        .and_then(|s| s.conditions.as_ref())
        .into_iter()
        .flatten();
    conditions.any(|c| c.type_ == "Ready" && c.status == "True")
}
