//! Commands that need a node, on a machine that cannot run one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

/// Runs `cargo dev` where no program can be found, so that nothing can be built and no node can run.
fn dev(args: &[&str]) -> Output {
    let root = TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dev"))
        .args(args)
        .env_remove("KUBEBUILDER_ASSETS")
        .env("PATH", root.path())
        .env("XDG_CACHE_HOME", root.path().join("cache"))
        .env("XDG_STATE_HOME", root.path().join("state"))
        .output()
        .unwrap();
    let cached = fs::read_dir(root.path().join("cache/provident-operator"));
    assert!(cached.is_err(), "a build was started");
    output
}

#[test]
fn node_up_says_why_before_it_builds_anything() {
    for args in [["node", "up"].as_slice(), &["node", "up", "--detach"]] {
        let output = dev(args);
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.starts_with("error: this machine cannot run a node: "),
            "{error}"
        );
    }
}

#[test]
fn e2e_is_skipped_visibly_and_fails_if_it_is_required() {
    let skipped = dev(&["e2e"]);
    assert!(skipped.status.success());
    let text = String::from_utf8_lossy(&skipped.stdout);
    assert!(text.starts_with("Not checked: "), "{text}");

    let required = dev(&["e2e", "--require"]);
    assert!(!required.status.success());
    let error = String::from_utf8_lossy(&required.stderr);
    assert!(
        error.contains("this machine cannot run a node: "),
        "{error}"
    );
}
