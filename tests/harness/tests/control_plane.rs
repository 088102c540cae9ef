//! A control plane starts, answers requests, and is gone after its owner exits or is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::{ControlPlane, binaries::Release};
use tempfile::TempDir;

/// The processes whose working directory is in `home`.
fn processes_in(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        if fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(home)) {
            found.push(
                fs::read_to_string(entry.path().join("comm"))
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            );
        }
    }
    found.sort();
    found
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "timed out waiting until {what}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn readyz(kubectl: &mut Command) -> String {
    let output = kubectl.args(["get", "--raw", "/readyz"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn two_control_planes_run_independently_and_are_gone_after_drop() {
    let (one, two) = tokio::join!(ControlPlane::start(), ControlPlane::start());
    let (one, two) = (one.unwrap(), two.unwrap());
    let homes: Vec<PathBuf> = [&one, &two]
        .iter()
        .map(|plane| plane.home().unwrap().to_owned())
        .collect();
    for (plane, home) in [&one, &two].into_iter().zip(&homes) {
        assert_eq!(
            readyz(&mut plane.kubectl(["--request-timeout=10s"]).unwrap()),
            "ok"
        );
        // The kernel cuts names to 15 characters.
        assert_eq!(
            processes_in(home),
            ["etcd", "kube-apiserver", "kube-controller"]
        );
    }
    let create = one
        .kubectl(["create", "namespace", "only-in-one"])
        .unwrap()
        .output()
        .unwrap();
    assert!(create.status.success(), "{create:?}");
    assert!(
        !two.kubectl(["get", "namespace", "only-in-one"])
            .unwrap()
            .output()
            .unwrap()
            .status
            .success()
    );

    one.stop();
    assert_eq!(
        (processes_in(&homes[0]), homes[0].exists()),
        (vec![], false)
    );
    assert_eq!(
        readyz(&mut two.kubectl([""; 0]).unwrap()),
        "ok",
        "the other one lives on"
    );
    drop(two);
    assert_eq!(
        (processes_in(&homes[1]), homes[1].exists()),
        (vec![], false)
    );
}

#[tokio::test]
async fn a_program_that_dies_is_reported_with_its_log() {
    let mut plane = ControlPlane::start().await.unwrap();
    plane.check().unwrap();
    let home = plane.home().unwrap().to_owned();
    let etcd = fs::read_dir("/proc").unwrap().flatten().find(|entry| {
        let path = entry.path();
        fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == home)
            && fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "etcd")
    });
    let pid = etcd.unwrap().file_name().into_string().unwrap();
    assert!(
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .unwrap()
            .success()
    );
    let start = Instant::now();
    let error = loop {
        match plane.check() {
            Err(error) => break error.to_string(),
            Ok(()) => assert!(
                start.elapsed() < Duration::from_secs(10),
                "the death was not noticed"
            ),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.starts_with("etcd has ended (signal: 9"), "{error}");
}

/// `cargo dev up` with its own state and temporary directories.
struct Dev {
    root: TempDir,
}

impl Dev {
    fn new() -> Self {
        Self {
            root: TempDir::new().unwrap(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let temporary = self.root.path().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
        command
            .args(args)
            .env("XDG_STATE_HOME", self.root.path().join("state"))
            .env("TMPDIR", temporary);
        command.stdin(Stdio::null());
        command
    }

    /// Starts `up` in the foreground and waits until it has printed the kubeconfig.
    fn up(&self) -> Child {
        let mut child = self
            .command(&["up"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(
            line.trim_end(),
            format!("export KUBECONFIG={}", self.kubeconfig().display())
        );
        child
    }

    fn kubeconfig(&self) -> PathBuf {
        self.root.path().join("state/provident-operator/kubeconfig")
    }

    fn kubectl(&self) -> Command {
        let release = Release::default();
        let paths = harness::binaries::ensure(&[harness::binaries::KUBECTL], release).unwrap();
        let mut command = Command::new(&paths["kubectl"]);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.root.path().join("kubectl"));
        command
    }

    fn is_empty(&self) -> bool {
        let temporary = self.root.path().join("tmp");
        processes_in(&temporary).is_empty() && fs::read_dir(temporary).unwrap().next().is_none()
    }
}

#[test]
fn everything_is_gone_after_its_owner_is_killed() {
    let dev = Dev::new();
    let mut owner = dev.up();
    assert_eq!(readyz(&mut dev.kubectl()), "ok");
    assert!(!dev.is_empty());
    owner.kill().unwrap(); // SIGKILL: no destructor runs
    owner.wait().unwrap();
    until("processes and files are gone", || dev.is_empty());
}

#[test]
fn ctrl_c_stops_it_with_success_and_leaves_nothing() {
    let dev = Dev::new();
    let mut owner = dev.up();
    assert!(
        Command::new("kill")
            .args(["-INT", &owner.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(owner.wait().unwrap().success());
    assert!(dev.is_empty());
    assert!(!dev.kubeconfig().exists());
}

#[test]
fn a_detached_one_runs_until_down_and_a_second_up_reports_it() {
    let dev = Dev::new();
    let export = format!("export KUBECONFIG={}\n", dev.kubeconfig().display());
    let up = dev.command(&["up", "--detach"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&up.stdout), export, "{up:?}");
    assert_eq!(readyz(&mut dev.kubectl()), "ok");

    for again in [dev.command(&["up"]), dev.command(&["up", "--detach"])]
        .iter_mut()
        .map(Command::output)
    {
        let again = again.unwrap();
        assert!(again.status.success());
        assert_eq!(String::from_utf8_lossy(&again.stdout), export);
        assert!(
            String::from_utf8_lossy(&again.stderr).contains("is already running"),
            "{again:?}"
        );
    }
    let other = dev.command(&["up", "--kubernetes", "1.31"]).output();
    let other = other.unwrap();
    assert!(!other.status.success());
    let error = String::from_utf8_lossy(&other.stderr);
    assert!(error.contains("is already running, not 1.31"), "{error}");
    assert!(dev.command(&["down"]).output().unwrap().status.success());
    assert!(dev.is_empty());
    let down = dev.command(&["down"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&down.stderr),
        "No control plane is running.\n"
    );
}
