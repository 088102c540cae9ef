//! What a machine needs to run a node.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::Uid;

use super::{cgroups, namespaces};

/// The Debian packages that a node and its tests need.
pub const PACKAGES: &str =
    "buildah conntrack containernetworking-plugins gcc iproute2 libseccomp-dev nftables pkg-config";

const PROGRAMS: [&str; 9] = [
    "buildah",
    "conntrack",
    "gcc",
    "go",
    "ip",
    "nft",
    "nsenter",
    "pkg-config",
    "unshare",
];
const NETWORK_PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];

/// The reason why this machine cannot run a node, in one line; none if it can.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("it requires root".to_owned());
    }
    if let Some(missing) = PROGRAMS.iter().find(|name| !in_path(name)) {
        return Some(format!("{missing} is missing (apt-get install {PACKAGES})"));
    }
    if network_plugins().is_none() {
        return Some(format!(
            "there are no CNI plugins in {} (apt-get install {PACKAGES})",
            PLUGIN_DIRECTORIES.join(" or ")
        ));
    }
    if !succeeds(Command::new("pkg-config").args(["--exists", "libseccomp"])) {
        return Some(
            "the headers of libseccomp are missing (apt-get install libseccomp-dev)".to_owned(),
        );
    }
    if !succeeds(&mut namespaces::trial()) {
        return Some(
            "it does not allow namespaces with a bridge, nftables, tmpfs and overlayfs".to_owned(),
        );
    }
    (!cgroups::writable()).then(|| "it does not allow new cgroups".to_owned())
}

/// The directories of Debian and of other distributions.
const PLUGIN_DIRECTORIES: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

pub(super) fn network_plugins() -> Option<&'static str> {
    PLUGIN_DIRECTORIES.into_iter().find(|directory| {
        NETWORK_PLUGINS
            .iter()
            .all(|name| Path::new(directory).join(name).is_file())
    })
}

fn in_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory: PathBuf| directory.join(name))
        .any(|program| program.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
