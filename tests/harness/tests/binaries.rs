//! The builder as a command, with a fake `go`: locking, leftovers, messages, and the selection of a release.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Records each build, writes the file that `-o` names, and waits as long as `$ROOT/wait` exists.
const GO: &str = r#"#!/bin/sh
while [ "$1" != "-o" ]; do shift; done
printf half > "$2"
echo "$3" >> "$ROOT/builds"
while [ -e "$ROOT/wait" ]; do sleep 0.05; done
printf whole > "$2"
"#;

struct Machine {
    root: TempDir,
}

impl Machine {
    fn new(go: Option<&str>) -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        if let Some(go) = go {
            let path = root.path().join("bin/go");
            fs::write(&path, go).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `cargo dev build` on this machine. PATH has no real Go.
    fn dev_build(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command
            .arg("build")
            .env_remove("KUBEBUILDER_ASSETS")
            .env_remove("HARNESS_KUBERNETES")
            .env("PATH", path);
        command
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("ROOT", self.root.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn builds(&self) -> Vec<String> {
        fs::read_to_string(self.path("builds"))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// All files in the cache except the lock, with their content.
    fn cached(&self) -> Vec<(String, String)> {
        let mut files = Vec::new();
        collect(&self.path("cache"), &mut files);
        files.sort();
        files
    }
}

fn collect(dir: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if name != ".lock" {
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "timed out waiting until {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn all_whole() -> Vec<(String, String)> {
    [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kubectl",
    ]
    .map(|name| (name.to_owned(), "whole".to_owned()))
    .to_vec()
}

#[test]
fn builds_each_program_once_with_progress_and_then_finds_it() {
    let machine = Machine::new(Some(GO));
    let first = machine.dev_build().output().unwrap();
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(
        stderr(&first).contains("[2/4] kube-apiserver 1.37.2: building"),
        "{}",
        stderr(&first)
    );
    assert!(
        stderr(&first).contains("[4/4] kubectl 1.37.2: built in"),
        "{}",
        stderr(&first)
    );
    assert_eq!(machine.cached(), all_whole());

    let second = machine.dev_build().output().unwrap();
    assert_eq!(stderr(&second), "");
    assert_eq!(machine.builds().len(), 4);
}

#[test]
fn what_the_assets_directory_has_is_used_and_the_rest_is_built() {
    let machine = Machine::new(Some(GO));
    fs::create_dir(machine.path("assets")).unwrap();
    for name in ["etcd", "kube-apiserver", "kubectl"] {
        fs::write(machine.path("assets").join(name), "given").unwrap();
    }
    let output = machine
        .dev_build()
        .env("KUBEBUILDER_ASSETS", machine.path("assets"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        machine.builds(),
        ["k8s.io/kubernetes/cmd/kube-controller-manager"]
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains(machine.path("assets/etcd").to_str().unwrap()),
        "{stdout}"
    );
}

#[test]
fn each_release_is_built_from_its_own_module_and_kept_beside_the_others() {
    // Records the release that go.mod requires and the version that the program will report.
    let machine = Machine::new(Some(
        r#"#!/bin/sh
echo "$* $(grep 'k8s.io/kubernetes v' go.mod)" >> "$ROOT/builds"
while [ "$1" != "-o" ]; do shift; done
printf whole > "$2"
"#,
    ));
    let by_flag = machine
        .dev_build()
        .args(["--kubernetes", "1.32"])
        .output()
        .unwrap();
    assert!(by_flag.status.success(), "{}", stderr(&by_flag));
    let builds = machine.builds();
    assert_eq!(builds.len(), 4, "{builds:?}");
    let kubectl = builds.last().unwrap();
    assert!(kubectl.contains("k8s.io/kubernetes v1.32.13"), "{kubectl}");
    assert!(kubectl.contains("gitVersion=v1.32.13"), "{kubectl}");

    let by_variable = machine
        .dev_build()
        .env("HARNESS_KUBERNETES", "v1.32.13")
        .output()
        .unwrap();
    assert_eq!(stderr(&by_variable), "", "it was built already");
    assert_eq!(by_variable.stdout, by_flag.stdout);
    assert!(
        String::from_utf8_lossy(&by_flag.stdout).contains("/kubernetes-1.32.13-etcd-"),
        "{by_flag:?}"
    );

    let newest = machine.dev_build().output().unwrap();
    assert!(newest.status.success(), "{}", stderr(&newest));
    assert_ne!(newest.stdout, by_flag.stdout);
    assert_eq!(machine.builds().len(), 8);
}

#[test]
fn the_assets_directory_does_not_replace_a_selected_release() {
    let machine = Machine::new(Some(GO));
    fs::create_dir(machine.path("assets")).unwrap();
    fs::write(machine.path("assets/etcd"), "given").unwrap();
    let output = machine
        .dev_build()
        .args(["--kubernetes", "1.32"])
        .env("KUBEBUILDER_ASSETS", machine.path("assets"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(machine.builds().len(), 4);
}

#[test]
fn an_unknown_release_is_refused_with_those_that_can_be_built() {
    let machine = Machine::new(Some(GO));
    let by_flag = machine
        .dev_build()
        .args(["--kubernetes", "1.20"])
        .output()
        .unwrap();
    let by_variable = machine
        .dev_build()
        .env("HARNESS_KUBERNETES", "1.20")
        .output()
        .unwrap();
    for (output, origin) in [
        (by_flag, "--kubernetes"),
        (by_variable, "HARNESS_KUBERNETES"),
    ] {
        assert!(!output.status.success());
        let text = stderr(&output);
        assert!(text.contains(origin), "{text}");
        assert!(text.contains("1.32.13"), "{text}");
    }
    assert_eq!(machine.builds(), Vec::<String>::new());
}

#[test]
fn two_builders_at_once_build_everything_once() {
    let machine = Machine::new(Some(GO));
    fs::write(machine.path("wait"), "").unwrap();
    let first = machine.dev_build().spawn().unwrap();
    until("the first builder is at work", || {
        !machine.builds().is_empty()
    });
    let mut second = machine.dev_build();
    let log = fs::File::create(machine.path("second.log")).unwrap();
    let second = second.stderr(log).spawn().unwrap();
    let waiting = || {
        fs::read_to_string(machine.path("second.log"))
            .unwrap()
            .contains("Waiting for another process")
    };
    until("the second builder says that it waits", waiting);
    fs::remove_file(machine.path("wait")).unwrap();
    for builder in [first, second] {
        let output = builder.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_eq!(machine.builds().len(), 4, "{:?}", machine.builds());
    assert_eq!(machine.cached(), all_whole());
}

#[test]
fn a_builder_killed_half_way_leaves_nothing_that_counts_and_the_next_cleans_up() {
    let machine = Machine::new(Some(GO));
    fs::write(machine.path("wait"), "").unwrap();
    let mut killed: Child = machine.dev_build().spawn().unwrap();
    until("the builder is at work", || !machine.builds().is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(
        machine
            .cached()
            .contains(&("etcd".to_owned(), "half".to_owned())),
        "{:?}",
        machine.cached()
    );
    fs::remove_file(machine.path("wait")).unwrap();
    let orphan_done = || {
        machine
            .cached()
            .contains(&("etcd".to_owned(), "whole".to_owned()))
    };
    until("the orphaned go has ended", orphan_done);

    let output = machine.dev_build().output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("[1/4] etcd"),
        "an unfinished build was taken for a finished one: {}",
        stderr(&output)
    );
    assert_eq!(machine.cached(), all_whole());
}

#[test]
fn a_missing_go_is_one_line_that_says_what_to_install() {
    let machine = Machine::new(None);
    let output = machine
        .dev_build()
        .env("PATH", machine.path("bin"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = stderr(&output);
    let error: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(error.len(), 1, "{text}");
    assert!(
        error[0].contains("install Go 1.26 or newer (https://go.dev/dl)"),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("{}\n", error[0])),
        "nothing follows: {text}"
    );
}

#[test]
fn when_go_fails_its_last_lines_are_shown() {
    let machine = Machine::new(Some("#!/bin/sh\necho 'go: no space left' >&2\nexit 1\n"));
    let output = machine.dev_build().output().unwrap();
    assert!(!output.status.success());
    assert!(
        stderr(&output).ends_with("its last lines:\ngo: no space left\n"),
        "{}",
        stderr(&output)
    );
    assert_eq!(machine.cached(), []);
}
