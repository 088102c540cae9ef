//! Every program we can build: from which Go module, at which version, and where it is kept.

use super::release::Release;

/// The etcd release that every control plane runs on. `tools/etcd/go.mod` names the same one.
const ETCD_VERSION: &str = "3.7.3";

/// A Go module of our own whose only purpose is to pin what a program is built from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module {
    pub(super) version: &'static str,
    /// The directory in the cache. Its name contains every version, so that no release finds the files of another one.
    pub(super) directory: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// Build tags, and whether it is built with a C compiler.
    pub(super) tags: &'static str,
    pub(super) cgo: bool,
}

static CONTAINERD: Module = Module {
    version: "2.4.2",
    directory: "containerd-2.4.2",
    go_mod: include_str!("../../tools/containerd/go.mod"),
    go_sum: include_str!("../../tools/containerd/go.sum"),
    // Leaves out the snapshotters that need C libraries or other file systems.
    tags: "no_btrfs,no_devmapper,no_zfs,no_aufs",
    cgo: false,
};
static RUNC: Module = Module {
    version: "1.5.2",
    directory: "runc-1.5.2",
    go_mod: include_str!("../../tools/runc/go.mod"),
    go_sum: include_str!("../../tools/runc/go.sum"),
    // The restricted profile requires a seccomp filter, and its library is written in C.
    tags: "seccomp",
    cgo: true,
};
/// The chart's tests use the same version and keep it in the same directory.
static HELM: Module = Module {
    version: "4.3.1",
    directory: "tools/helm-v4.3.1",
    go_mod: include_str!("../../../chart/tools/helm/go.mod"),
    go_sum: include_str!("../../../chart/tools/helm/go.sum"),
    tags: "",
    cgo: false,
};

/// Which module a program is built from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The module of the selected Kubernetes release.
    Kubernetes,
    /// etcd, which is kept beside the Kubernetes release that runs on it.
    Etcd,
    /// The same module with every Kubernetes release.
    Pinned(&'static Module),
}

/// A program that can be found or built.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// File name, such as `kube-apiserver`.
    pub name: &'static str,
    pub(super) package: &'static str,
    source: Source,
}

impl Binary {
    pub(super) fn module(&self, release: Release) -> Module {
        match self.source {
            Source::Kubernetes => release.module(),
            Source::Etcd => Module {
                version: ETCD_VERSION,
                go_mod: include_str!("../../tools/etcd/go.mod"),
                go_sum: include_str!("../../tools/etcd/go.sum"),
                ..release.module()
            },
            Source::Pinned(module) => *module,
        }
    }
}

const fn binary(source: Source, name: &'static str, package: &'static str) -> Binary {
    Binary {
        name,
        package,
        source,
    }
}

const CONTAINERD_SOURCE: Source = Source::Pinned(&CONTAINERD);

/// The command line client: all that an existing cluster needs.
pub const KUBECTL: Binary = binary(
    Source::Kubernetes,
    "kubectl",
    "k8s.io/kubernetes/cmd/kubectl",
);

/// What a control plane without nodes needs, in the order it is built.
pub const CONTROL_PLANE: [Binary; 4] = [
    binary(Source::Etcd, "etcd", "go.etcd.io/etcd/server/v3"),
    binary(
        Source::Kubernetes,
        "kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-apiserver",
    ),
    binary(
        Source::Kubernetes,
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    KUBECTL,
];

/// What a node needs in addition, in the order it is built; runc needs gcc, pkg-config and libseccomp's headers.
pub const NODE: [Binary; 7] = [
    binary(
        Source::Kubernetes,
        "kube-scheduler",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    binary(
        Source::Kubernetes,
        "kubelet",
        "k8s.io/kubernetes/cmd/kubelet",
    ),
    binary(
        Source::Kubernetes,
        "kube-proxy",
        "k8s.io/kubernetes/cmd/kube-proxy",
    ),
    binary(
        CONTAINERD_SOURCE,
        "containerd",
        "github.com/containerd/containerd/v2/cmd/containerd",
    ),
    binary(
        CONTAINERD_SOURCE,
        "containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    ),
    binary(
        CONTAINERD_SOURCE,
        "ctr",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ),
    binary(
        Source::Pinned(&RUNC),
        "runc",
        "github.com/opencontainers/runc",
    ),
];

/// Installs the chart.
pub const HELM_CLIENT: Binary = binary(Source::Pinned(&HELM), "helm", "helm.sh/helm/v4/cmd/helm");

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_pins(module: &Module, path: &str) {
        let required = format!("{path} v{}", module.version);
        assert!(module.go_mod.contains(&required), "{required}");
        assert!(module.directory.contains(module.version), "{required}");
    }

    #[test]
    fn the_pinned_modules_name_the_versions_we_claim() {
        assert_pins(&CONTAINERD, "github.com/containerd/containerd/v2");
        assert_pins(&RUNC, "github.com/opencontainers/runc");
        assert_pins(&HELM, "helm.sh/helm/v4");
        for release in Release::all() {
            assert_pins(&KUBECTL.module(release), "k8s.io/kubernetes");
            assert_pins(
                &CONTROL_PLANE[0].module(release),
                "go.etcd.io/etcd/server/v3",
            );
        }
    }
}
