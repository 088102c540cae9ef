//! `cargo dev up` and `cargo dev down`, and the same with a node.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use harness::{
    ControlPlane, Node,
    binaries::{self, CONTROL_PLANE, NODE, Release},
    control_plane::server_version,
    node,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{signals, state::State};

const POLL: Duration = Duration::from_millis(50);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What can be running. Only one of each can run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A control plane without nodes.
    ControlPlane,
    /// A control plane and a node.
    Node,
}

impl Kind {
    /// The words of its subcommand.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::ControlPlane => &[],
            Self::Node => &["node"],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control plane",
            Self::Node => "node",
        }
    }

    fn down(self) -> String {
        [&["cargo", "dev"], self.words(), &["down"]]
            .concat()
            .join(" ")
    }

    /// Builds what is missing. This comes before signals are handled, so that Ctrl-C ends a build as it ends any program.
    fn ensure(self, release: Release) -> Result<()> {
        if self == Self::ControlPlane {
            return binaries::ensure(&CONTROL_PLANE, release).map(drop);
        }
        // Checked before the build, which takes minutes and would be useless.
        if let Some(obstacle) = node::obstacle() {
            bail!("this machine cannot run a node: {obstacle}");
        }
        let wanted = [CONTROL_PLANE.as_slice(), &NODE].concat();
        binaries::ensure(&wanted, release).map(drop)
    }

    async fn start(self, release: Release) -> Result<Cluster> {
        Ok(match self {
            Self::ControlPlane => {
                Cluster::ControlPlane(ControlPlane::start_release(release).await?)
            }
            Self::Node => Cluster::Node(Node::start(release).await?),
        })
    }
}

enum Cluster {
    ControlPlane(ControlPlane),
    Node(Node),
}

impl Cluster {
    const fn control_plane(&self) -> &ControlPlane {
        match self {
            Self::ControlPlane(control_plane) => control_plane,
            Self::Node(node) => node.control_plane(),
        }
    }

    fn check(&mut self) -> Result<()> {
        match self {
            Self::ControlPlane(control_plane) => control_plane.check(),
            Self::Node(node) => node.check(),
        }
    }
}

/// Starts a cluster and keeps it running until SIGINT or SIGTERM.
pub async fn up(kind: Kind, requested: Option<Release>) -> Result<()> {
    let release = requested.unwrap_or_default();
    let state = State::open(kind)?;
    if state.is_held()? {
        return already_up(kind, &state, requested).await;
    }
    kind.ensure(release)?;
    let Some(held) = state.hold()? else {
        return already_up(kind, &state, requested).await;
    };
    let signal = signals::received()?;
    tokio::select! {
        result = async {
            let mut cluster = kind.start(release).await?;
            held.publish(cluster.control_plane().kubeconfig())?;
            print_export(&state.kubeconfig());
            let version = server_version(&state.kubeconfig()).await?;
            if let Some(home) = cluster.control_plane().home() {
                eprintln!("Kubernetes {version} is running; Ctrl-C stops it. Logs: {}", home.display());
            }
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                cluster.check()?;
            }
        } => result,
        _ = signal => Ok(()),
    }
}

/// Starts `cargo dev up` as a separate process and returns when the cluster is ready.
pub async fn up_detached(kind: Kind, requested: Option<Release>) -> Result<()> {
    let release = requested.unwrap_or_default();
    let state = State::open(kind)?;
    if state.is_held()? {
        return already_up(kind, &state, requested).await;
    }
    kind.ensure(release)?;
    let mut command = Command::new(env::current_exe()?);
    command.args(kind.words()).arg("up");
    command.args(["--kubernetes", release.version()]);
    command.process_group(0).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(state.log())?);
    let mut child = command
        .spawn()
        .context("start the process that runs the cluster")?;
    while !(state.holder() == Some(child.id()) && state.kubeconfig().exists()) {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(state.log()).unwrap_or_default();
            bail!(
                "the process that runs the cluster has ended ({status}):\n{}",
                log.trim_end()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    print_export(&state.kubeconfig());
    let version = server_version(&state.kubeconfig()).await?;
    eprintln!(
        "Kubernetes {version} is running; `{}` stops it.",
        kind.down()
    );
    Ok(())
}

/// Another process runs the cluster or is starting it.
async fn already_up(kind: Kind, state: &State, requested: Option<Release>) -> Result<()> {
    while !state.kubeconfig().exists() {
        if !state.is_held()? {
            bail!("another process was starting the cluster and has ended; try again");
        }
        tokio::time::sleep(POLL).await;
    }
    let version = server_version(&state.kubeconfig()).await?;
    if let Some(release) = requested
        && version != format!("v{release}")
    {
        bail!(
            "Kubernetes {version} is already running, not {release}; stop it with `{}` first",
            kind.down()
        );
    }
    print_export(&state.kubeconfig());
    eprintln!(
        "Kubernetes {version} is already running; `{}` stops it.",
        kind.down()
    );
    Ok(())
}

/// Stops the cluster and waits until all of it is gone.
pub async fn down(kind: Kind) -> Result<()> {
    let state = State::open(kind)?;
    if !state.is_held()? {
        eprintln!("No {} is running.", kind.name());
        return Ok(());
    }
    let holder = state
        .holder()
        .context("a cluster is starting; try again in a moment")?;
    kill(Pid::from_raw(i32::try_from(holder)?), Signal::SIGTERM)
        .with_context(|| format!("signal process {holder}"))?;
    let start = Instant::now();
    while state.is_held()? {
        if start.elapsed() > STOP_TIMEOUT {
            bail!(
                "process {holder} has not stopped; `kill -9 {holder}` ends it and everything that it started"
            );
        }
        tokio::time::sleep(POLL).await;
    }
    eprintln!("Stopped.");
    Ok(())
}

fn print_export(kubeconfig: &Path) {
    println!(
        "export KUBECONFIG={}",
        shell_word(&kubeconfig.display().to_string())
    );
}

/// Quotes the text if a shell would not read it literally.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
