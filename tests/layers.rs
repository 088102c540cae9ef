//! The layers, held by reading the sources: who may use whom, and that what is called pure is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules of this crate it may use; the first that fits a file counts.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "admin",
            "api",
            "cluster",
            "controller",
            "leader",
            "metrics",
            "provident::emulator",
            "reconcile::settings",
            "telemetry",
        ],
    ),
    (
        "controller",
        &["admin", "api", "cluster", "leader", "metrics", "reconcile"],
    ),
    (
        "reconcile",
        &[
            "api",
            "binding",
            "cluster",
            "jitter",
            "leader",
            "metrics",
            "plan",
            "provident",
            "secret",
        ],
    ),
    ("secret", &["api", "binding", "plan", "provident::types"]),
    ("plan", &["api", "provident::outcome", "provident::types"]),
    ("binding", &["api", "provident::types"]),
    // The vendor as it would be without us: it shares nothing with the client that is tested against it.
    ("provident/emulator", &[]),
    ("provident/types", &[]),
    ("provident/outcome", &["provident::types"]),
    ("provident", &["provident"]),
    ("api", &[]),
    ("admin", &["api", "metrics"]),
    ("metrics", &["api", "provident::call", "provident::outcome"]),
    ("leader/candidate", &[]),
    ("leader", &["api", "cluster", "jitter", "metrics"]),
    ("jitter", &[]),
    ("cluster", &["metrics"]),
    ("telemetry", &[]),
];

/// What has no I/O and no clock.
const PURE: &[&str] = &[
    "api",
    "plan",
    "secret",
    "binding",
    "provident/types",
    "provident/outcome",
    "leader/candidate",
];
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "kube::Client",
    "kube::Api",
    "::now()",
    "std::fs",
    "std::net::Tcp",
    "std::env",
    "rand::fill",
];

fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let name = |path: &Path| {
        path.strip_prefix(&root)
            .unwrap()
            .with_extension("")
            .display()
            .to_string()
    };
    paths
        .iter()
        .map(|path| (name(path), code(&fs::read_to_string(path).unwrap())))
        .collect()
}

// Without tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_in(module: &str, name: &str) -> bool {
    name == module || name.starts_with(&format!("{module}/"))
}

fn used(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in code.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(group) => {
                let group = group.split('}').next().unwrap_or_default();
                found.extend(
                    group
                        .split(',')
                        .map(|name| name.trim().to_owned())
                        .filter(|name| !name.is_empty()),
                );
            }
            None => found.push(
                part.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .next()
                    .unwrap()
                    .to_owned(),
            ),
        }
    }
    found
}

#[test]
fn every_module_uses_only_the_layers_below_it() {
    let sources = sources();
    assert!(sources.len() > 30, "the sources were not found");
    for (name, code) in &sources {
        if name == "lib" {
            continue;
        }
        let (module, allowed) = MAY_USE
            .iter()
            .find(|(module, _)| is_in(module, name))
            .unwrap_or_else(|| {
                panic!("src/{name}.rs belongs to no layer: give it one in tests/layers.rs")
            });
        for used in used(code) {
            let own = used.starts_with(&module.replace('/', "::"));
            let fits = allowed
                .iter()
                .any(|layer| used == *layer || used.starts_with(&format!("{layer}::")));
            assert!(
                own || fits,
                "src/{name}.rs uses crate::{used}, and {module} may use {allowed:?} only"
            );
        }
    }
}

#[test]
fn what_is_called_pure_has_no_io_and_no_clock() {
    for (name, code) in sources() {
        if PURE.iter().any(|module| is_in(module, &name)) {
            for word in IMPURE {
                assert!(
                    !code.contains(word),
                    "src/{name}.rs is pure and names {word}"
                );
            }
        }
    }
}
