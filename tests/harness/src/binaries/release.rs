//! The Kubernetes releases that can be built.

use std::{env, fmt, str::FromStr};

use anyhow::{Context, Result, anyhow};

use super::catalog::Module;

/// Selects the release that [`Release::selected`] returns: `1.32`, `1.32.13`, or `oldest`.
pub const KUBERNETES_VARIABLE: &str = "HARNESS_KUBERNETES";

/// Every release, oldest first. `tools/pin VERSION` writes a release's module; it must then be listed here.
static RELEASES: [Module; 7] = [
    kubernetes(
        "1.31.14",
        "kubernetes-1.31.14-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.31/go.mod"),
        include_str!("../../tools/kubernetes-1.31/go.sum"),
    ),
    kubernetes(
        "1.32.13",
        "kubernetes-1.32.13-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.32/go.mod"),
        include_str!("../../tools/kubernetes-1.32/go.sum"),
    ),
    kubernetes(
        "1.33.13",
        "kubernetes-1.33.13-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.33/go.mod"),
        include_str!("../../tools/kubernetes-1.33/go.sum"),
    ),
    kubernetes(
        "1.34.4",
        "kubernetes-1.34.4-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.34/go.mod"),
        include_str!("../../tools/kubernetes-1.34/go.sum"),
    ),
    kubernetes(
        "1.35.4",
        "kubernetes-1.35.4-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.35/go.mod"),
        include_str!("../../tools/kubernetes-1.35/go.sum"),
    ),
    kubernetes(
        "1.36.3",
        "kubernetes-1.36.3-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.36/go.mod"),
        include_str!("../../tools/kubernetes-1.36/go.sum"),
    ),
    kubernetes(
        "1.37.2",
        "kubernetes-1.37.2-etcd-3.7.3",
        include_str!("../../tools/kubernetes-1.37/go.mod"),
        include_str!("../../tools/kubernetes-1.37/go.sum"),
    ),
];
/// The oldest release that the operator supports.
const OLDEST_SUPPORTED: &str = "1.32";

const fn kubernetes(
    version: &'static str,
    directory: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
) -> Module {
    Module {
        version,
        directory,
        go_mod,
        go_sum,
        tags: "",
        cgo: false,
    }
}

/// A Kubernetes release that can be built. The default is the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Where in [`RELEASES`].
    index: usize,
}

impl Release {
    /// Every release, oldest first.
    #[must_use]
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..RELEASES.len()).map(|index| Self { index })
    }

    /// The release that [`KUBERNETES_VARIABLE`] names, if any.
    ///
    /// # Errors
    /// When it names a release that cannot be built.
    pub fn from_environment() -> Result<Option<Self>> {
        match env::var(KUBERNETES_VARIABLE) {
            Ok(name) if !name.is_empty() => name
                .parse()
                .map(Some)
                .with_context(|| format!("{KUBERNETES_VARIABLE}={name}")),
            _ => Ok(None),
        }
    }

    /// The release that [`KUBERNETES_VARIABLE`] names, otherwise the default.
    ///
    /// # Errors
    /// As [`Release::from_environment`].
    pub fn selected() -> Result<Self> {
        Ok(Self::from_environment()?.unwrap_or_default())
    }

    /// Such as `1.37.2`.
    #[must_use]
    pub fn version(self) -> &'static str {
        self.module().version
    }

    /// Such as `1.37`.
    fn minor(self) -> &'static str {
        let version = self.version();
        version.rsplit_once('.').map_or(version, |(minor, _)| minor)
    }

    pub(super) fn module(self) -> Module {
        RELEASES[self.index]
    }
}

impl Default for Release {
    fn default() -> Self {
        Self {
            index: RELEASES.len() - 1,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version())
    }
}

impl FromStr for Release {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let wanted = match name {
            "oldest" => OLDEST_SUPPORTED,
            name => name.strip_prefix('v').unwrap_or(name),
        };
        Self::all()
            .find(|release| [release.version(), release.minor()].contains(&wanted))
            .ok_or_else(|| {
                let known: Vec<_> = Self::all().map(Self::version).collect();
                anyhow!(
                    "this Kubernetes release cannot be built here; choose one of {}",
                    known.join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_found_by_minor_version_and_by_patch_version() {
        for name in ["1.32", "v1.32", "1.32.13", "v1.32.13"] {
            assert_eq!(
                name.parse::<Release>().ok().map(Release::version),
                Some("1.32.13")
            );
        }
        assert!("oldest".parse::<Release>().is_ok());
        for name in ["", "1", "1.3", "1.32.1", "1.99", "newest"] {
            assert!(name.parse::<Release>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_default_is_the_newest() {
        let numbers = |release: Release| -> Vec<u32> {
            release
                .version()
                .split('.')
                .filter_map(|part| part.parse().ok())
                .collect()
        };
        let newest = Release::all().max_by_key(|release| numbers(*release));
        assert_eq!(newest, Some(Release::default()));
    }
}
