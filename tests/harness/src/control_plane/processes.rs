//! Child processes that end with us, whatever ends us.
//!
//! A destructor does not run when this process is killed, and tests keep a control plane in a `static`, whose
//! destructor never runs. So small shells wait for the end of their stdin, a pipe whose other end only we hold: the
//! kernel closes it when we end. One, the keeper, leads the process group of all children and kills it, itself included; the
//! others, sweepers, remove what is left, such as the home directory. Being in groups of their own they get no Ctrl-C of a terminal.

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

/// The API server waits up to a minute for open watches when it is asked to stop, and nothing here is worth saving.
const KEEPER: &str = "read -r _; kill -s KILL 0";
/// Removing fails while a process that is just dying still creates a file, hence the repetition.
const SWEEPER: &str =
    r#"read -r _; n=0; until eval "$1" || [ "$n" -ge 100 ]; do n=$((n + 1)); sleep 0.1; done"#;

/// More than the operator's own grace.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// A home directory and the processes that live in it.
#[derive(Debug)]
pub(crate) struct Processes {
    home: PathBuf,
    keeper: Child,
    sweepers: Vec<Child>,
    members: Vec<(&'static str, Child)>,
}

impl Processes {
    /// An empty home in the directory for temporary files, guarded before anything else happens.
    pub(crate) fn new() -> Result<Self> {
        let home = TempDir::with_prefix("provident-control-plane-")
            .context("make a directory for temporary files")?;
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

    /// Has `script` run with `$2` = `what` when all processes have ended, again and again until it succeeds.
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

    /// Starts a process in the home, with its output in the log of its name; the answer is its id.
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
            .swap_remove(index.with_context(|| format!("no {name} runs"))?);
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let asked = Instant::now();
        while child.try_wait()?.is_none() {
            if asked.elapsed() > END_TIMEOUT {
                bail!("{name} did not end within {END_TIMEOUT:?} of SIGTERM");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Kills all processes, and waits until they are gone; the home stays.
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
        // The home last: it was the first.
        for sweeper in self.sweepers.iter_mut().rev() {
            end(sweeper);
        }
    }
}

/// A shell that runs a script when the pipe to it closes. It must not hold our stdout open: a reader would wait for it.
fn shell(script_and_args: &[impl AsRef<OsStr>]) -> Result<Child> {
    let mut command = Command::new("sh");
    command.arg("-c").args(script_and_args).process_group(0);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().context("start sh")
}

/// Closes the pipe, and waits for the script to be done. There is nobody to tell about an error.
fn end(shell: &mut Child) {
    drop(shell.stdin.take());
    let _ = shell.wait();
}
