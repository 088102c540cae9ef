//! The Linux namespaces in which the node's programs run.

use std::{
    ffi::OsStr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::control_plane::Processes;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Process 1 of the node. Programs with fixed paths get empty directories. The kernel settings that the kubelet writes are
/// replaced by files, because they apply to the whole machine. The shell reaps orphans while it waits for a child.
const INIT: &str = r#"
set -e
for directory in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$directory"; done
mkdir -p /run/sysctl
for key in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e "/proc/sys/$key" ] || continue
  file=/run/sysctl/$(basename "$key"); cat "/proc/sys/$key" > "$file"; mount --bind "$file" "/proc/sys/$key"
done
ip link set lo up
: > "$1"
while :; do sleep 86400; done
"#;

/// Tries what [`INIT`] and the network plugins do.
const TRIAL: &str = r"
set -e
for directory in /run /var/lib; do mount -t tmpfs tmpfs $directory; done
mkdir /run/lower /run/upper /run/work /run/merged
mount -t overlay overlay -o lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work /run/merged
ip link add trial type bridge
ip link add trial0 type veth peer name trial1
nft add table ip trial
";

/// The process that keeps the namespaces alive. They end with it.
#[derive(Debug)]
pub(super) struct Namespaces {
    holder: u32,
}

impl Namespaces {
    pub(super) fn create(processes: &mut Processes) -> Result<Self> {
        let ready = processes.home().join("namespaces");
        let mut unshare = unshare(INIT);
        unshare.arg("sh").arg(&ready);
        let holder = processes.spawn("namespaces", unshare)?;
        let began = Instant::now();
        while !ready.exists() {
            processes.check()?;
            ensure!(
                began.elapsed() < START_TIMEOUT,
                "the namespaces did not become ready"
            );
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { holder })
    }

    /// The process that owns the network namespace.
    pub(super) const fn holder(&self) -> u32 {
        self.holder
    }

    /// A command that runs in the namespaces.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let of_holder = Path::new("/proc").join(self.holder.to_string()).join("ns");
        let mut command = Command::new("nsenter");
        // The holder itself is not in the process namespace, which it created for its child.
        for (flag, file) in [
            ("mount", "mnt"),
            ("net", "net"),
            ("pid", "pid_for_children"),
        ] {
            command.arg(format!("--{flag}={}", of_holder.join(file).display()));
        }
        command.arg("--").arg(program);
        command
    }
}

/// A command that creates such namespaces, tries everything that is needed in them, and ends.
pub(super) fn trial() -> Command {
    unshare(TRIAL)
}

fn unshare(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    command.args(["--propagation", "private", "--", "sh", "-c", script]);
    command
}
