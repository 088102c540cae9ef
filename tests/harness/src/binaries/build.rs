//! Builds programs with Go into the cache. Only one process builds at a time, and a file appears only when it is complete.

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

use super::{Release, catalog::Binary};

const PARTIAL: &str = ".partial-";
const GO_MISSING: &str = "Go is not installed: install Go 1.26 or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS to \
                          a directory that contains the programs";

/// Waits for any other builder, then builds those of `wanted` that are still missing from `cache`.
pub(super) fn build(cache: &Path, wanted: &[Binary], release: Release) -> Result<()> {
    fs::create_dir_all(cache).with_context(|| format!("create the cache {}", cache.display()))?;
    let _lock = lock(cache)?;
    remove_leftovers(cache)?;
    let missing: Vec<_> = wanted
        .iter()
        .filter(|b| !cache.join(b.name).is_file())
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "Building into {}. This takes minutes, but only once.",
            cache.display()
        );
    }
    for (done, binary) in missing.iter().enumerate() {
        let title = format!(
            "[{}/{}] {} {}",
            done + 1,
            missing.len(),
            binary.name,
            binary.module(release).version
        );
        build_one(cache, binary, release, &title)?;
    }
    Ok(())
}

/// The kernel releases the lock when the process that holds it exits or dies.
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

/// Removes the work directories of builders that were killed. We hold the lock, so no other builder is using them.
fn remove_leftovers(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            // A `go` process that outlived its builder may still write there; the next build removes what it leaves.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn build_one(cache: &Path, binary: &Binary, release: Release, title: &str) -> Result<()> {
    let module = binary.module(release);
    let work = TempDir::with_prefix_in(PARTIAL, cache)?;
    let (output, log) = (work.path().join(binary.name), work.path().join("go.log"));
    fs::write(work.path().join("go.mod"), module.go_mod)?;
    fs::write(work.path().join("go.sum"), module.go_sum)?;
    let mut go = Command::new("go");
    go.current_dir(work.path())
        .env("CGO_ENABLED", if module.cgo { "1" } else { "0" })
        .env("GOWORK", "off")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-tags",
            module.tags,
            "-ldflags",
            &ldflags(release),
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

/// Without these a server reports version v0.0.0, and clients treat it as a very old one.
fn ldflags(release: Release) -> String {
    let release = release.version();
    let mut parts = release.split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let version = "-X k8s.io/component-base/version";
    format!(
        "-s -w {version}.gitVersion=v{release} {version}.gitMajor={major} {version}.gitMinor={minor}"
    )
}

/// Progress of one program: on a terminal one line that is updated, otherwise one line when it starts and one when it ends.
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
