//! Finds the programs a control plane and a node are made of, and has built what is missing.

mod build;
mod catalog;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use catalog::{
    Binary, CONTROL_PLANE, ETCD_VERSION, HELM_CLIENT, KUBECTL, KUBERNETES_VERSION, NODE,
};

/// Where each program was found, by its name.
pub type Paths = BTreeMap<&'static str, PathBuf>;

/// Finds each of `wanted` in `KUBEBUILDER_ASSETS`, then in the cache, and builds what is in neither.
///
/// Blocks, and for about ten minutes when all of a control plane has to be built, five more for a node; progress goes to stderr.
///
/// # Errors
/// When there is no cache directory, or Go is missing or fails; the message says what to install, or has the last
/// lines of what Go said.
pub fn ensure(wanted: &[Binary]) -> Result<Paths> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let cache = base_dir("XDG_CACHE_HOME", ".cache")?;
    let find = |binary: &Binary| {
        let built = cache.join(binary.module.directory);
        let places = assets.iter().chain([&built]);
        places
            .map(|dir| dir.join(binary.name))
            .find(|path| path.is_file())
    };
    let mut missing = BTreeMap::<_, Vec<_>>::new();
    for binary in wanted.iter().filter(|b| find(b).is_none()) {
        let directory = binary.module.directory;
        missing.entry(directory).or_default().push(*binary);
    }
    for (directory, binaries) in missing {
        build::build(&cache.join(directory), &binaries)?;
    }
    let found = |binary: &Binary| {
        let path = find(binary).with_context(|| {
            format!(
                "{} was built but is gone from {}",
                binary.name,
                cache.display()
            )
        })?;
        Ok((binary.name, path))
    };
    wanted.iter().map(found).collect()
}

/// Our own directory below a base directory of the XDG Base Directory Specification: `variable`, if it holds an
/// absolute path as that specification demands, else `fallback` in the home directory.
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
