//! The flags and files of the node's Kubernetes programs. Paths are absolute: in the namespaces the home directory is not the
//! working directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::json;

use super::{NAME, namespaces::Namespaces, network::Network};
use crate::binaries::Paths;

/// What the flags and files are made from.
pub(super) struct Programs<'a> {
    pub(super) home: &'a Path,
    pub(super) paths: &'a Paths,
    pub(super) namespaces: &'a Namespaces,
    pub(super) network: &'a Network,
}

impl Programs<'_> {
    /// Writes the kubelet's configuration.
    pub(super) fn configure(&self, cgroup: &str) -> Result<()> {
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": true },
                "x509": { "clientCAFile": self.home.join("ca.crt") },
            },
            "authorization": { "mode": "Webhook" },
            "containerRuntimeEndpoint": format!("unix://{}", self.home.join("node/containerd.sock").display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{cgroup}"),
            // Also run on a machine with version 1 of cgroups or with swap.
            "failCgroupV1": false,
            "failSwapOn": false,
            "clusterDNS": [self.network.host()],
            "clusterDomain": "cluster.local",
            "resolvConf": "/dev/null",
            // Images cannot be pulled again, so the kubelet must not remove them when this machine's disk fills up.
            "evictionHard": { "nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi" },
            "imageGCHighThresholdPercent": 100,
            // Updates of Secrets arrive in a second instead of a minute.
            "syncFrequency": "1s",
        });
        fs::write(self.home.join("node/kubelet.json"), format!("{config:#}\n"))?;
        Ok(())
    }

    pub(super) fn kubelet(&self) -> Command {
        let mut command = self.namespaces.command(self.path("kubelet"));
        for (flag, file) in [
            ("--config", "node/kubelet.json"),
            ("--kubeconfig", "kubelet.kubeconfig"),
            ("--root-dir", "node/kubelet"),
            ("--cert-dir", "node/certificates"),
        ] {
            command.arg(flag).arg(self.home.join(file));
        }
        command.args(["--hostname-override", NAME]);
        command.args(["--node-ip", &self.network.node().to_string()]);
        command
    }

    pub(super) fn proxy(&self) -> Command {
        let mut command = self.namespaces.command(self.path("kube-proxy"));
        command
            .arg("--kubeconfig")
            .arg(self.home.join("proxy.kubeconfig"));
        command.args(["--hostname-override", NAME, "--proxy-mode", "nftables"]);
        command.args(["--cluster-cidr", &self.network.pods()]);
        // Does not set these limits, which apply to the whole machine.
        command.args(["--conntrack-max-per-core", "0"]);
        command.args(["--conntrack-tcp-timeout-established", "0s"]);
        command.args(["--conntrack-tcp-timeout-close-wait", "0s"]);
        command
    }

    pub(super) fn scheduler(&self) -> Command {
        let mut command = Command::new(self.path("kube-scheduler"));
        command
            .arg("--kubeconfig")
            .arg(self.home.join("scheduler.kubeconfig"));
        // As for the controller manager: no fixed port, and no leader election.
        command.args(["--secure-port", "0", "--leader-elect=false"]);
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        let known = self.paths.get(name);
        known.map_or_else(|| name.into(), PathBuf::clone)
    }
}
