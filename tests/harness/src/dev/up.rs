//! `cargo dev up` and `cargo dev down`.

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
    ControlPlane,
    binaries::{self, CONTROL_PLANE},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::state::State;

const POLL: Duration = Duration::from_millis(50);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts a control plane and keeps it until SIGINT or SIGTERM.
pub async fn up() -> Result<()> {
    let state = State::open()?;
    // Built before signals are ours: until then Ctrl-C ends the build as it ends any program.
    binaries::ensure(&CONTROL_PLANE)?;
    let Some(held) = state.hold()? else {
        return already_up(&state).await;
    };
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    tokio::select! {
        result = async {
            let mut control_plane = ControlPlane::start().await?;
            held.publish(control_plane.kubeconfig())?;
            print_export(&state.kubeconfig());
            if let Some(home) = control_plane.home() {
                eprintln!("Kubernetes {} is up until Ctrl-C. Logs: {}", binaries::KUBERNETES_VERSION, home.display());
            }
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                control_plane.check()?;
            }
        } => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Starts `cargo dev up` as a process of its own and returns when it is ready.
pub async fn up_detached() -> Result<()> {
    let state = State::open()?;
    binaries::ensure(&CONTROL_PLANE)?;
    if state.is_held()? {
        return already_up(&state).await;
    }
    let mut command = Command::new(env::current_exe()?);
    command.arg("up").process_group(0).current_dir("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(state.log())?);
    let mut child = command
        .spawn()
        .context("start the process that holds the control plane")?;
    while !(state.holder() == Some(child.id()) && state.kubeconfig().exists()) {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(state.log()).unwrap_or_default();
            bail!(
                "the process that holds the control plane has ended ({status}):\n{}",
                log.trim_end()
            );
        }
        tokio::time::sleep(POLL).await;
    }
    print_export(&state.kubeconfig());
    eprintln!(
        "Kubernetes {} is up until `cargo dev down`.",
        binaries::KUBERNETES_VERSION
    );
    Ok(())
}

/// Another process holds the control plane, ready or about to be.
async fn already_up(state: &State) -> Result<()> {
    while !state.kubeconfig().exists() {
        if !state.is_held()? {
            bail!("the control plane that another process was starting has ended; try again");
        }
        tokio::time::sleep(POLL).await;
    }
    print_export(&state.kubeconfig());
    eprintln!("It runs already; `cargo dev down` ends it.");
    Ok(())
}

/// Ends the control plane, and waits until all of it is gone.
pub async fn down() -> Result<()> {
    let state = State::open()?;
    if !state.is_held()? {
        eprintln!("No control plane is up.");
        return Ok(());
    }
    let holder = state
        .holder()
        .context("a control plane is just starting; try again in a moment")?;
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
    eprintln!("The control plane is gone.");
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
