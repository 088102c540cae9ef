//! Child processes that end when this process ends, even if it is killed.
//!
//! Destructors do not run when this process is killed, and tests keep a control plane in a `static`, which is never dropped.
//! So small shells wait for the end of their stdin, a pipe whose other end only this process holds: the kernel closes it when the
//! process ends. One shell, the keeper, leads the process group of all children and kills the group, itself included. The others,
//! the sweepers, then remove what is left, such as the home directory. All are in their own groups, so that Ctrl-C in a terminal
//! does not reach them.

use std::{
    ffi::OsStr,
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::tail;

/// SIGKILL, because on SIGTERM the API server waits up to a minute for open watches, and there is no data to save.
const KEEPER: &str = "read -r _; kill -s KILL 0";
/// Repeats, because removing fails while a dying process still creates files.
const SWEEPER: &str =
    r#"read -r _; n=0; until eval "$1" || [ "$n" -ge 100 ]; do n=$((n + 1)); sleep 0.1; done"#;

/// Longer than the operator's shutdown grace period.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// A home directory and the processes that run in it.
#[derive(Debug)]
pub(crate) struct Processes {
    home: PathBuf,
    keeper: Child,
    sweepers: Vec<Child>,
    members: Vec<(&'static str, Child)>,
}

impl Processes {
    /// Creates an empty home directory among the temporary files, and first of all the shell that removes it.
    pub(crate) fn new() -> Result<Self> {
        let home = TempDir::with_prefix("provident-control-plane-")
            .context("create a temporary directory")?;
        let keeper = shell(&[KEEPER, "sh"])?;
        let mut processes = Self {
            home: home.path().to_owned(),
            keeper,
            sweepers: Vec::new(),
            members: Vec::new(),
        };
        processes.sweep(r#"rm -rf "$2""#, home.path())?;
        let _ = home.keep();
        Ok(processes)
    }

    /// Registers a script that runs with `$2` = `what` when all processes have ended, and is repeated until it succeeds.
    pub(crate) fn sweep(&mut self, script: &str, what: &Path) -> Result<()> {
        let args = [SWEEPER.as_ref(), "sh".as_ref(), script.as_ref(), what];
        self.sweepers.push(shell(&args)?);
        Ok(())
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.log"))
    }

    /// Starts a process in the home directory, with its output in the log of its name. Returns its process id.
    pub(crate) fn spawn(&mut self, name: &'static str, mut command: Command) -> Result<u32> {
        let log = File::create(self.log(name))?;
        let group = i32::try_from(self.keeper.id())?;
        command.current_dir(&self.home).process_group(group);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().with_context(|| {
            format!(
                "start {name} ({})",
                Path::new(command.get_program()).display()
            )
        })?;
        let id = child.id();
        self.members.push((name, child));
        Ok(id)
    }

    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        let (_, child) = self.members.iter().find(|(member, _)| *member == name)?;
        Some(child.id())
    }

    pub(super) async fn end(&mut self, name: &str) -> Result<()> {
        let index = self.members.iter().position(|(member, _)| *member == name);
        let (_, mut child) = self
            .members
            .swap_remove(index.with_context(|| format!("{name} is not running"))?);
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let asked = Instant::now();
        while child.try_wait()?.is_none() {
            if asked.elapsed() > END_TIMEOUT {
                bail!("{name} did not stop within {END_TIMEOUT:?} of SIGTERM");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Kills all processes and waits until they are gone. The home directory stays.
    pub(super) fn kill_all(&mut self) -> Result<()> {
        for (name, mut child) in self.members.drain(..) {
            child.kill().with_context(|| format!("kill {name}"))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Fails if a process has ended, with the end of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.members {
            if let Some(status) = child.try_wait()? {
                let log = self.home.join(format!("{name}.log"));
                bail!(
                    "{name} has ended ({status}); the end of its log:\n{}",
                    tail(&log)
                );
            }
        }
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        end(&mut self.keeper);
        for (_, child) in &mut self.members {
            let _ = child.wait();
        }
        // In reverse order, so that the home directory is removed last.
        for sweeper in self.sweepers.iter_mut().rev() {
            end(sweeper);
        }
    }
}

/// A shell that runs a script when the pipe to it closes. It does not inherit our stdout, which it would keep open for a reader.
fn shell(script_and_args: &[impl AsRef<OsStr>]) -> Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").args(script_and_args).process_group(0);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().context("start sh")
}

/// Closes the pipe and waits until the script has ended. Its errors cannot be reported.
fn end(shell: &mut Child) {
    drop(shell.stdin.take());
    let _ = shell.wait();
}
