//! Finds the programs of a control plane and a node, and builds those that are missing.

mod build;
mod catalog;
mod release;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use catalog::{Binary, CONTROL_PLANE, HELM_CLIENT, KUBECTL, NODE};
pub use release::{KUBERNETES_VARIABLE, Release};

/// Where each program was found, by its name.
pub type Paths = BTreeMap<&'static str, PathBuf>;

/// Finds each of `wanted` in the cache, and builds those that are not there. For the default release, the directory that
/// `KUBEBUILDER_ASSETS` names comes first.
///
/// Blocks: building a control plane takes about ten minutes, a node five more. Progress is printed to stderr.
///
/// # Errors
/// When there is no cache directory, or Go is missing or fails. The message says what to install, or contains the last
/// lines of Go's output.
pub fn ensure(wanted: &[Binary], release: Release) -> Result<Paths> {
    let assets = env::var_os("KUBEBUILDER_ASSETS")
        .map(PathBuf::from)
        .filter(|_| release == Release::default());
    let cache = base_dir("XDG_CACHE_HOME", ".cache")?;
    let find = |binary: &Binary| {
        let built = cache.join(binary.module(release).directory);
        let places = assets.iter().chain([&built]);
        places
            .map(|dir| dir.join(binary.name))
            .find(|path| path.is_file())
    };
    let mut missing = BTreeMap::<_, Vec<_>>::new();
    for binary in wanted.iter().filter(|b| find(b).is_none()) {
        let directory = binary.module(release).directory;
        missing.entry(directory).or_default().push(*binary);
    }
    for (directory, binaries) in missing {
        build::build(&cache.join(directory), &binaries, release)?;
    }
    let found = |binary: &Binary| {
        let path = find(binary).with_context(|| {
            format!(
                "{} was built but has disappeared from {}",
                binary.name,
                cache.display()
            )
        })?;
        Ok((binary.name, path))
    };
    wanted.iter().map(found).collect()
}

/// This project's directory below a base directory of the XDG Base Directory Specification: `variable` if it contains an
/// absolute path, as that specification requires, otherwise `fallback` in the home directory.
///
/// # Errors
/// When neither the variable nor `HOME` is set.
pub fn base_dir(variable: &str, fallback: &str) -> Result<PathBuf> {
    let base = env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = match base {
        Some(base) => base,
        None => Path::new(
            &env::var_os("HOME")
                .with_context(|| format!("neither {variable} nor HOME is set; set one of them"))?,
        )
        .join(fallback),
    };
    Ok(base.join("provident-operator"))
}
