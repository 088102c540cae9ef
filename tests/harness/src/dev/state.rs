//! The state that `cargo dev up` shares with other invocations: which process runs the cluster, and its kubeconfig.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use harness::binaries::base_dir;

use crate::up::Kind;

/// The directory `$XDG_STATE_HOME/provident-operator`, by default in `~/.local/state`; for a node its subdirectory `node`.
///
/// A cluster is running while one of the files is locked. The kernel releases the lock when the process that holds it exits
/// or dies; the contents of the files may be out of date.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
}

impl State {
    /// Opens the directory, and creates it if it is missing.
    pub fn open(kind: Kind) -> Result<Self> {
        let mut dir = base_dir("XDG_STATE_HOME", ".local/state")?;
        if kind == Kind::Node {
            dir.push("node");
        }
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// The kubeconfig. Its path is the same for every cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The output of a detached process.
    pub fn log(&self) -> PathBuf {
        self.dir.join("up.log")
    }

    /// Makes this process the holder until the result is dropped. None if another process is the holder.
    pub fn hold(&self) -> Result<Option<Held>> {
        let path = self.dir.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        // In this order, so that whoever reads our process id does not find the kubeconfig of an earlier holder.
        let _ = fs::remove_file(self.kubeconfig());
        lock.set_len(0)?;
        write!(lock, "{}", std::process::id())?;
        Ok(Some(Held {
            _lock: lock,
            kubeconfig: self.kubeconfig(),
        }))
    }

    /// Whether some process is the holder.
    pub fn is_held(&self) -> Result<bool> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.dir.join("lock"))?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The process id of the last holder.
    pub fn holder(&self) -> Option<u32> {
        fs::read_to_string(self.dir.join("lock"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}

/// While this exists, no other process can be the holder.
#[derive(Debug)]
pub struct Held {
    _lock: File,
    kubeconfig: PathBuf,
}

impl Held {
    /// Publishes the kubeconfig with one atomic rename. Its presence means that the cluster is ready.
    pub fn publish(&self, kubeconfig: &Path) -> Result<()> {
        let partial = self.kubeconfig.with_extension("partial");
        fs::copy(kubeconfig, &partial)?;
        fs::set_permissions(&partial, Permissions::from_mode(0o600))?;
        fs::rename(&partial, &self.kubeconfig)
            .with_context(|| format!("write {}", self.kubeconfig.display()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.kubeconfig);
    }
}
