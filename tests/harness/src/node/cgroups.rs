//! The parent cgroup of all pods, for both versions of the kernel's interface.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::control_plane::Processes;

const ROOT: &str = "/sys/fs/cgroup";

/// Removes cgroup `$2` of every hierarchy when nothing runs in it any more.
const SWEEP: &str = r#"left=; for top in /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2"; do [ -d "$top" ] || continue
find "$top" -depth -type d -exec rmdir {} +; [ -d "$top" ] && left=1; done; [ -z "$left" ]"#;

/// Creates the cgroup and registers its removal. Returns its name, which is that of the home directory.
pub(super) fn create(processes: &mut Processes) -> Result<String> {
    let home = processes.home();
    let name = home.file_name().context("the home directory has no name")?;
    let name = name.to_string_lossy().into_owned();
    processes.sweep(SWEEP, Path::new(&name))?;
    for hierarchy in hierarchies()? {
        let path = hierarchy.join(&name);
        fs::create_dir(&path).with_context(|| format!("create cgroup {}", path.display()))?;
    }
    Ok(name)
}

/// Whether this machine allows new cgroups.
pub(super) fn writable() -> bool {
    let name = format!("provident-trial-{}", std::process::id());
    hierarchies().is_ok_and(|hierarchies| {
        !hierarchies.is_empty()
            && hierarchies.iter().all(|hierarchy| {
                let path = hierarchy.join(&name);
                fs::create_dir(&path)
                    .and_then(|()| fs::remove_dir(&path))
                    .is_ok()
            })
    })
}

/// Version 2 has one hierarchy, whose controllers must be enabled for children; version 1 has one per controller.
fn hierarchies() -> io::Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if let Ok(controllers) = fs::read_to_string(root.join("cgroup.controllers")) {
        let all: Vec<_> = controllers
            .split_whitespace()
            .map(|c| format!("+{c}"))
            .collect();
        fs::write(root.join("cgroup.subtree_control"), all.join(" "))?;
        return Ok(vec![root.to_owned()]);
    }
    let entries = fs::read_dir(root)?.map(|entry| Ok(entry?.path()));
    let paths = entries.collect::<io::Result<Vec<_>>>()?;
    Ok(paths
        .into_iter()
        .filter(|path| path.join("cgroup.procs").exists())
        .collect())
}
