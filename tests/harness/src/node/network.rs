//! The network between this machine, the node and its pods: routed, without translation, and without a way out.

use std::{net::Ipv4Addr, path::Path, process::Command};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::namespaces::Namespaces;
use crate::command::output;

/// Number `n` of this machine's nodes: `10.123.n.0/24` between machine and node, `10.124.n.0/24` for pods.
#[derive(Debug)]
pub(super) struct Network {
    n: u8,
}

impl Network {
    /// A link into the namespaces; it goes with them.
    pub(super) fn create(namespaces: &Namespaces) -> Result<Self> {
        let holder = namespaces.holder().to_string();
        let network = Self {
            n: (0..=u8::MAX)
                .find_map(|n| link(n, &holder).transpose())
                .unwrap_or_else(|| bail!("every number of a node is taken"))?,
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
            // Some programs take the default route for the way that counts.
            format!("route add default via {host}"),
        ] {
            output(namespaces.command("ip").args(args.split(' ')))?;
        }
        Ok(network)
    }

    /// This machine, as the node and its pods see it.
    pub(super) const fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 123, self.n, 1)
    }

    /// The node, as this machine sees it.
    pub(super) const fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 123, self.n, 2)
    }

    /// The range of the pods.
    pub(super) fn pods(&self) -> String {
        format!("10.124.{}.0/24", self.n)
    }

    /// What containerd tells the network plugins.
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

/// The number, if it was free; making the link takes it.
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
