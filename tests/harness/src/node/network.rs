//! The network between this machine, the node and its pods: routed, without address translation or access to other networks.

use std::{net::Ipv4Addr, path::Path, process::Command};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::namespaces::Namespaces;
use crate::command::output;

/// The network of this machine's node number `n`: `10.123.n.0/24` between machine and node, `10.124.n.0/24` for pods.
#[derive(Debug)]
pub(super) struct Network {
    n: u8,
}

impl Network {
    /// Creates a link into the namespaces, which disappears with them.
    pub(super) fn create(namespaces: &Namespaces) -> Result<Self> {
        let holder = namespaces.holder().to_string();
        let network = Self {
            n: (0..=u8::MAX)
                .find_map(|n| link(n, &holder).transpose())
                .unwrap_or_else(|| {
                    bail!("this machine already runs as many nodes as there are networks for")
                })?,
        };
        let link = name(network.n);
        let (host, node) = (network.host(), network.node());
        for args in [
            format!("address add {host}/24 dev {link}"),
            format!("link set {link} up"),
            format!("route add {} via {node}", network.pods()),
        ] {
            output(Command::new("ip").args(args.split(' ')))?;
        }
        for args in [
            format!("address add {node}/24 dev node"),
            "link set node up".to_owned(),
            // Some programs choose their address by the default route.
            format!("route add default via {host}"),
        ] {
            output(namespaces.command("ip").args(args.split(' ')))?;
        }
        Ok(network)
    }

    /// The address of this machine for the node and its pods.
    pub(super) const fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 123, self.n, 1)
    }

    /// The address of the node for this machine.
    pub(super) const fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 123, self.n, 2)
    }

    /// The address range of the pods.
    pub(super) fn pods(&self) -> String {
        format!("10.124.{}.0/24", self.n)
    }

    /// The configuration of the network plugins.
    pub(super) fn plugins(&self, home: &Path) -> Value {
        json!({
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [{
                "type": "bridge",
                "bridge": "pods",
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": home.join("node/addresses"),
                    "ranges": [[{ "subnet": self.pods() }]],
                    "routes": [{ "dst": "0.0.0.0/0" }],
                },
            }],
        })
    }
}

/// Reserves a number by creating its link. None if the number is taken.
fn link(n: u8, holder: &str) -> Result<Option<u8>> {
    let name = name(n);
    let args = [
        "link", "add", &name, "type", "veth", "peer", "name", "node", "netns", holder,
    ];
    match output(Command::new("ip").args(args)) {
        Ok(_) => Ok(Some(n)),
        Err(error) if error.to_string().contains("File exists") => Ok(None),
        Err(error) => Err(error),
    }
}

fn name(n: u8) -> String {
    format!("provident{n}")
}
