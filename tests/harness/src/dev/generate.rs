//! `cargo dev generate`: every file in the repository that is generated from another one.

mod chart;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;

use chart::Chart;

/// The CRDs, printed by the operator.
const CRDS: &str = "crds";
/// Directories that contain generated files only: a file in them that is not generated any more is stale.
const DIRECTORIES: [&str; 3] = [CRDS, chart::CRDS, chart::RIGHTS];

/// What to do with the files.
#[derive(Debug, Args)]
pub struct Options {
    /// Change nothing; fail if a file is stale, and list the stale files
    #[arg(long)]
    check: bool,
}

/// Content by path in the repository.
type Files = BTreeMap<PathBuf, String>;

/// Regenerates the files, or checks them.
pub fn generate(options: &Options) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()?;
    let files = generated(&root)?;
    let stale = stale(&root, &files)?;
    if options.check && !stale.is_empty() {
        let names: Vec<_> = stale
            .iter()
            .map(|path| format!("  {}", path.display()))
            .collect();
        bail!(
            "these files are stale; run `cargo dev generate` and commit the result:\n{}",
            names.join("\n")
        );
    }
    for path in &stale {
        update(&root, path, files.get(path))?;
    }
    println!("{} generated files are up to date", files.len());
    Ok(())
}

fn generated(root: &Path) -> Result<Files> {
    let work = TempDir::new()?;
    let crds = work.path().join(CRDS);
    fs::create_dir(&crds)?;
    print_crds(root, &crds)?;
    let mut files = read(&crds, Path::new(CRDS))?;
    files.extend(read(&crds, Path::new(chart::CRDS))?);
    let chart = Chart::copy(root, &work.path().join("chart"), &crds)?;
    files.insert(
        "charts/provident-operator/README.md".into(),
        chart.readme()?,
    );
    files.insert("dist/install.yaml".into(), chart.install_manifest()?);
    files.extend(chart.rights()?);
    files.insert("docs/reference.md".into(), chart.reference(&crds)?);
    Ok(files)
}

/// The operator prints the CRDs from its own types.
fn print_crds(root: &Path, directory: &Path) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["run", "--bin", "provident-operator", "--", "crd"])
        .arg("--output-dir")
        .arg(directory)
        .current_dir(root);
    // Its output is not captured, so that compiler errors are readable.
    let status = cargo.status().context("start cargo")?;
    if !status.success() {
        bail!("`provident-operator crd` failed ({status})");
    }
    Ok(())
}

/// The files of a directory, by their path below another one.
fn read(directory: &Path, below: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("read {}", entry.path().display()))?;
        files.insert(below.join(entry.file_name()), text);
    }
    Ok(files)
}

/// The paths whose content is not the generated one, missing and superfluous files included.
fn stale(root: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    let mut stale: Vec<_> = files
        .iter()
        .filter(|(path, text)| {
            fs::read_to_string(root.join(path)).ok().as_deref() != Some(text.as_str())
        })
        .map(|(path, _)| path.clone())
        .collect();
    for directory in DIRECTORIES {
        if root.join(directory).exists() {
            let present = read(&root.join(directory), Path::new(directory))?;
            stale.extend(present.into_keys().filter(|path| !files.contains_key(path)));
        }
    }
    Ok(stale)
}

/// Writes a file, or removes one that is not generated any more.
fn update(root: &Path, path: &Path, text: Option<&String>) -> Result<()> {
    let full = root.join(path);
    let failed = || format!("update {}", path.display());
    let Some(text) = text else {
        println!("removed {}", path.display());
        return fs::remove_file(&full).with_context(failed);
    };
    if let Some(parent) = full.parent() {
        fs::create_dir_all(parent).with_context(failed)?;
    }
    println!("updated {}", path.display());
    fs::write(&full, text).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_missing_and_superfluous_files_are_stale_and_an_update_ends_that() -> Result<()> {
        let root = TempDir::new()?;
        fs::create_dir(root.path().join(CRDS))?;
        for (name, text) in [
            ("crds/same.yaml", "same"),
            ("crds/old.yaml", ""),
            ("crds/changed.yaml", "old"),
        ] {
            fs::write(root.path().join(name), text)?;
        }
        let wanted = [
            ("crds/same.yaml", "same"),
            ("crds/changed.yaml", "new"),
            ("docs/missing.md", "m"),
        ];
        let files: Files = wanted
            .into_iter()
            .map(|(path, text)| (path.into(), text.to_owned()))
            .collect();
        let found = stale(root.path(), &files)?;
        let expected = ["crds/changed.yaml", "docs/missing.md", "crds/old.yaml"];
        assert_eq!(found, expected.map(PathBuf::from));
        for path in &found {
            update(root.path(), path, files.get(path))?;
        }
        assert_eq!(stale(root.path(), &files)?, Vec::<PathBuf>::new());
        Ok(())
    }
}
