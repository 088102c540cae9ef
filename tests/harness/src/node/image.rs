//! Images, built by buildah into a store that is deleted with the home directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::command::output;

/// An application that gets a token with the Secret that it mounts. Without arguments it idles and is the sandbox of every pod.
/// See `tests/node/app`.
pub const APP_IMAGE: &str = "localhost/app:1";

/// A store of buildah's images.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Creates an empty store in a directory.
    ///
    /// # Errors
    /// When its files cannot be written.
    pub fn new(parent: &Path) -> Result<Self> {
        let directory = parent.join("images");
        fs::create_dir_all(&directory)?;
        let config = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{here}/store\"\nrunroot = \"{here}/run\"\n",
            here = directory.display()
        );
        fs::write(directory.join("storage.conf"), config)?;
        Ok(Self { directory })
    }

    /// A command that uses the store. If this process ends, it ends too, with all its processes and mounts.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--fork", "--kill-child"]);
        command.args(["--pid", "--mount", "--mount-proc", "--", program]);
        command
            .env(
                "CONTAINERS_STORAGE_CONF",
                self.directory.join("storage.conf"),
            )
            .env("BUILDAH_ISOLATION", "chroot");
        command
    }
}

/// Builds [`APP_IMAGE`] and returns its archive.
pub(super) fn app(home: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/app");
    let store = Store::new(home)?;
    let (context, archive) = (home.join("images/app"), home.join("images/app.tar"));
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(context.join("app"))
        .arg(".");
    output(
        go.current_dir(&source)
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off"),
    )?;
    let mut build = store.command("buildah");
    build.args(["build", "--quiet", "--tag", APP_IMAGE, "--file"]);
    output(build.arg(source.join("Containerfile")).arg(&context))?;
    let mut push = store.command("buildah");
    push.args(["push", "--quiet", APP_IMAGE]);
    output(push.arg(format!("docker-archive:{}:{APP_IMAGE}", archive.display())))?;
    Ok(archive)
}
