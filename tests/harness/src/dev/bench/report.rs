//! The report: how the benchmark was run, and the table of results.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;
use clap::ValueEnum;

use super::{Options, process, root, table::Table};

/// The report as Markdown.
pub(super) fn report(
    options: &Options,
    operator: &Path,
    kubernetes: &str,
    load: &str,
    took: Duration,
    table: &Table,
) -> Result<String> {
    let output = |command: &mut Command| {
        let output = command.output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let git = |args: &[&str]| output(Command::new("git").args(args).current_dir(root()));
    let mut commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()) {
        commit.push_str(" with uncommitted changes");
    }
    let rust = output(Command::new("rustc").arg("--version")).unwrap_or_default();
    let size = fs::metadata(operator)?.len() / 1024;
    let mut command = format!("cargo dev bench --clients {}", options.clients);
    let parts: Vec<_> = options
        .only
        .iter()
        .filter_map(ValueEnum::to_possible_value)
        .map(|part| part.get_name().to_owned())
        .collect();
    if !parts.is_empty() {
        command = format!("{command} --only {}", parts.join(","));
    }
    Ok(format!(
        "- Command: `{command}`, {} s\n\
         - Machine: {}; load average at the start {load}\n\
         - Commit {commit}; {rust}; Kubernetes {kubernetes}; size of the operator's binary {size} KiB\n\
         - Everything runs on this one machine: etcd (without fsync), API server, controller manager, emulator, operator, and \
         this program with its two watches, whose cost is part of the floor too\n\n{}",
        took.as_secs(),
        process::machine(),
        table.markdown(),
    ))
}
