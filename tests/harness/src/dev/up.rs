//! `cargo dev up` and `cargo dev down`, and the same with a node.

use std::{
    env,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use harness::{
    ControlPlane, Node,
    binaries::{self, CONTROL_PLANE, NODE},
    node,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{signals, state::State};

const POLL: Duration = Duration::from_millis(50);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What is up. There is one of each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A control plane without nodes.
    ControlPlane,
    /// A control plane and a node.
    Node,
}

impl Kind {
    /// How `cargo dev` is asked for it.
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

    /// Built before signals are ours: until then Ctrl-C ends the build as it ends any program.
    fn ensure(self) -> Result<()> {
        binaries::ensure(&CONTROL_PLANE)?;
        if self == Self::Node {
            let obstacle = node::obstacle();
            ensure!(
                obstacle.is_none(),
                "this machine cannot have a node: {}",
                obstacle.unwrap_or_default()
            );
            binaries::ensure(&NODE)?;
        }
        Ok(())
    }

    async fn start(self) -> Result<Cluster> {
        Ok(match self {
            Self::ControlPlane => Cluster::ControlPlane(ControlPlane::start().await?),
            Self::Node => Cluster::Node(Node::start().await?),
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

/// Starts a cluster and keeps it until SIGINT or SIGTERM.
pub async fn up(kind: Kind) -> Result<()> {
    let state = State::open(kind)?;
    kind.ensure()?;
    let Some(held) = state.hold()? else {
        return already_up(kind, &state).await;
    };
    let told = signals::told()?;
    tokio::select! {
        result = async {
            let mut cluster = kind.start().await?;
            held.publish(cluster.control_plane().kubeconfig())?;
            print_export(&state.kubeconfig());
            if let Some(home) = cluster.control_plane().home() {
                eprintln!("Kubernetes {} is up until Ctrl-C. Logs: {}", binaries::KUBERNETES_VERSION, home.display());
            }
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                cluster.check()?;
            }
        } => result,
        _ = told => Ok(()),
    }
}

/// Starts `cargo dev up` as a process of its own and returns when it is ready.
pub async fn up_detached(kind: Kind) -> Result<()> {
    let state = State::open(kind)?;
    kind.ensure()?;
    if state.is_held()? {
        return already_up(kind, &state).await;
    }
    let mut command = Command::new(env::current_exe()?);
    command.args(kind.words()).arg("up");
    command.process_group(0).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(state.log())?);
    let mut child = command
        .spawn()
        .context("start the process that holds the cluster")?;
    while !(state.holder() == Some(child.id()) && state.kubeconfig().exists()) {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(state.log()).unwrap_or_default();
            bail!(
                "the process that holds the cluster has ended ({status}):\n{}",
                log.trim_end()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    print_export(&state.kubeconfig());
    eprintln!(
        "Kubernetes {} is up until `{}`.",
        binaries::KUBERNETES_VERSION,
        kind.down()
    );
    Ok(())
}

/// Another process holds the cluster, ready or about to be.
async fn already_up(kind: Kind, state: &State) -> Result<()> {
    while !state.kubeconfig().exists() {
        if !state.is_held()? {
            bail!("the cluster that another process was starting has ended; try again");
        }
        tokio::time::sleep(POLL).await;
    }
    print_export(&state.kubeconfig());
    eprintln!("It runs already; `{}` ends it.", kind.down());
    Ok(())
}

/// Ends the cluster, and waits until all of it is gone.
pub async fn down(kind: Kind) -> Result<()> {
    let state = State::open(kind)?;
    if !state.is_held()? {
        eprintln!("No {} is up.", kind.name());
        return Ok(());
    }
    let holder = state
        .holder()
        .context("a cluster is just starting; try again in a moment")?;
    kill(Pid::from_raw(i32::try_from(holder)?), Signal::SIGTERM)
        .with_context(|| format!("signal process {holder}"))?;
    let start = Instant::now();
    while state.is_held()? {
        if start.elapsed() > STOP_TIMEOUT {
            bail!(
                "process {holder} does not end; `kill -9 {holder}` ends it and all that it started"
            );
        }
        tokio::time::sleep(POLL).await;
    }
    eprintln!("It is gone, and all that it started.");
    Ok(())
}

fn print_export(kubeconfig: &Path) {
    println!(
        "export KUBECONFIG={}",
        shell_word(&kubeconfig.display().to_string())
    );
}

/// Quoted only where a shell would not take it as it stands.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
