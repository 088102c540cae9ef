//! Finds the programs a control plane is made of, and has built what is missing.

mod build;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The Kubernetes release that is built and tested against. `tools/kubernetes/go.mod` names the same one.
pub const KUBERNETES_VERSION: &str = "1.37.2";
/// The etcd release that goes with it. `tools/etcd/go.mod` names the same one.
pub const ETCD_VERSION: &str = "3.7.3";

/// A Go module of our own whose only purpose is to pin what a program is built from.
#[derive(Debug)]
struct Module {
    go_mod: &'static str,
    go_sum: &'static str,
}

static ETCD: Module = Module {
    go_mod: include_str!("../tools/etcd/go.mod"),
    go_sum: include_str!("../tools/etcd/go.sum"),
};
static KUBERNETES: Module = Module {
    go_mod: include_str!("../tools/kubernetes/go.mod"),
    go_sum: include_str!("../tools/kubernetes/go.sum"),
};

/// A program that can be found or built.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// File name, such as `kube-apiserver`.
    pub name: &'static str,
    version: &'static str,
    package: &'static str,
    module: &'static Module,
}

impl Binary {
    const fn kubernetes(name: &'static str, package: &'static str) -> Self {
        Self {
            name,
            version: KUBERNETES_VERSION,
            package,
            module: &KUBERNETES,
        }
    }
}

/// The command line client. It is all that is needed where a cluster exists already.
pub const KUBECTL: Binary = Binary::kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl");

/// What a control plane without nodes needs, in the order it is built.
pub const CONTROL_PLANE: [Binary; 4] = [
    Binary {
        name: "etcd",
        version: ETCD_VERSION,
        package: "go.etcd.io/etcd/server/v3",
        module: &ETCD,
    },
    Binary::kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Binary::kubernetes(
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    KUBECTL,
];

/// Where each program was found, by its name.
pub type Paths = BTreeMap<&'static str, PathBuf>;

/// Finds each of `wanted` in `KUBEBUILDER_ASSETS`, then in the cache, and builds what is in neither.
///
/// Blocks, and for about ten minutes when all of Kubernetes has to be built; progress goes to stderr.
///
/// # Errors
/// When there is no cache directory, or Go is missing or fails; the message says what to install, or has the last
/// lines of what Go said.
pub fn ensure(wanted: &[Binary]) -> Result<Paths> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let cache = cache_dir()?;
    let find = |binary: &Binary| {
        let places = assets.iter().chain([&cache]);
        places
            .map(|dir| dir.join(binary.name))
            .find(|path| path.is_file())
    };
    let missing: Vec<Binary> = wanted
        .iter()
        .filter(|b| find(b).is_none())
        .copied()
        .collect();
    if !missing.is_empty() {
        build::build(&cache, &missing)?;
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

/// The directory for programs of exactly these versions: another release never finds the files of this one.
fn cache_dir() -> Result<PathBuf> {
    let root = base_dir("XDG_CACHE_HOME", ".cache")?;
    Ok(root.join(format!(
        "kubernetes-{KUBERNETES_VERSION}-etcd-{ETCD_VERSION}"
    )))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_modules_name_the_versions_we_claim() {
        assert!(
            KUBERNETES
                .go_mod
                .contains(&format!("k8s.io/kubernetes v{KUBERNETES_VERSION}"))
        );
        assert!(
            ETCD.go_mod
                .contains(&format!("go.etcd.io/etcd/server/v3 v{ETCD_VERSION}"))
        );
    }
}
