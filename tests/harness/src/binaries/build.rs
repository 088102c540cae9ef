//! Builds programs with Go into the cache: one builder at a time, each file whole or not there at all.

use std::{
    fs::{self, File, TryLockError},
    io::{self, IsTerminal, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::catalog::{Binary, KUBERNETES_VERSION};

const PARTIAL: &str = ".partial-";
const GO_MISSING: &str = "Go is not installed: install Go 1.26 or newer (https://go.dev/dl), or let KUBEBUILDER_ASSETS \
                          name a directory that has the programs";

/// Builds into `cache` those of `wanted` that are not there once no other builder is at work.
pub(super) fn build(cache: &Path, wanted: &[Binary]) -> Result<()> {
    fs::create_dir_all(cache).with_context(|| format!("create the cache {}", cache.display()))?;
    let _lock = lock(cache)?;
    remove_leftovers(cache)?;
    let missing: Vec<_> = wanted
        .iter()
        .filter(|b| !cache.join(b.name).is_file())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "Building into {}; minutes the first time, never again.",
            cache.display()
        );
    }
    for (done, binary) in missing.iter().enumerate() {
        let title = format!(
            "[{}/{}] {} {}",
            done + 1,
            missing.len(),
            binary.name,
            binary.module.version
        );
        build_one(cache, binary, &title)?;
    }
    Ok(())
}

/// The kernel releases the lock when its holder ends, however it ends.
fn lock(cache: &Path) -> Result<File> {
    let path = cache.join(".lock");
    let lock = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::WouldBlock) => eprintln!(
            "Waiting for another process that is building into {}.",
            cache.display()
        ),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("lock {}", path.display()));
        }
    }
    lock.lock()
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(lock)
}

/// A builder that was killed leaves its work directory. We hold the lock, so nobody is using it.
fn remove_leftovers(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            // A `go` that outlived its builder may still write there; what it leaves goes the next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn build_one(cache: &Path, binary: &Binary, title: &str) -> Result<()> {
    let work = TempDir::with_prefix_in(PARTIAL, cache)?;
    let (output, log) = (work.path().join(binary.name), work.path().join("go.log"));
    fs::write(work.path().join("go.mod"), binary.module.go_mod)?;
    fs::write(work.path().join("go.sum"), binary.module.go_sum)?;
    let mut go = Command::new("go");
    go.current_dir(work.path())
        .env("CGO_ENABLED", if binary.module.cgo { "1" } else { "0" })
        .env("GOWORK", "off")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-tags",
            binary.module.tags,
            "-ldflags",
            &ldflags(),
            "-o",
        ])
        .args([output.as_os_str(), binary.package.as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let mut go = match go.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(GO_MISSING),
        other => other.context("start go")?,
    };
    let mut progress = Progress::new(title);
    let status = loop {
        if let Some(status) = go.try_wait()? {
            break status;
        }
        progress.tick();
        thread::sleep(Duration::from_millis(100));
    };
    progress.end(status.success());
    if !status.success() {
        bail!(
            "go build {} failed ({status}); its last lines:\n{}",
            binary.package,
            crate::control_plane::tail(&log)
        );
    }
    // Rename within one directory is atomic; the sync before it keeps a power loss from leaving an empty file.
    File::open(&output)?.sync_all()?;
    fs::rename(&output, cache.join(binary.name))
        .with_context(|| format!("move {} into place", binary.name))
}

/// Without the version a server calls itself v0.0.0 and clients take it for an ancient one.
fn ldflags() -> String {
    let mut parts = KUBERNETES_VERSION.split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let version = "-X k8s.io/component-base/version";
    format!(
        "-s -w {version}.gitVersion=v{KUBERNETES_VERSION} {version}.gitMajor={major} {version}.gitMinor={minor}"
    )
}

/// One line per program: rewritten with the time elapsed on a terminal, else one at its start and one at its end.
struct Progress<'a> {
    title: &'a str,
    start: Instant,
    live: bool,
}

impl<'a> Progress<'a> {
    fn new(title: &'a str) -> Self {
        let live = io::stderr().is_terminal();
        if !live {
            eprintln!("{title}: building");
        }
        Self {
            title,
            start: Instant::now(),
            live,
        }
    }

    fn tick(&mut self) {
        if self.live {
            eprint!(
                "\r{}: building, {} s",
                self.title,
                self.start.elapsed().as_secs()
            );
            let _ = io::stderr().flush();
        }
    }

    fn end(&self, success: bool) {
        let (start, clear) = if self.live {
            ("\r", "\x1b[K")
        } else {
            ("", "")
        };
        let result = if success { "built in" } else { "failed after" };
        eprintln!(
            "{start}{}: {result} {} s{clear}",
            self.title,
            self.start.elapsed().as_secs()
        );
    }
}
