//! Every program we can build: from which Go module, at which version, and where it is kept.

/// The Kubernetes release that is built and tested against. `tools/kubernetes/go.mod` names the same one.
pub const KUBERNETES_VERSION: &str = "1.37.2";
/// The etcd release that goes with it. `tools/etcd/go.mod` names the same one.
pub const ETCD_VERSION: &str = "3.7.3";

/// A Go module of our own whose only purpose is to pin what a program is built from.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) version: &'static str,
    /// The directory in the cache, with every version in its name: another release never finds the files of this one.
    pub(super) directory: &'static str,
    pub(super) go_mod: &'static str,
    pub(super) go_sum: &'static str,
    /// Build tags, and whether it is built with a C compiler.
    pub(super) tags: &'static str,
    pub(super) cgo: bool,
}

static ETCD: Module = Module {
    version: ETCD_VERSION,
    directory: "kubernetes-1.37.2-etcd-3.7.3",
    go_mod: include_str!("../../tools/etcd/go.mod"),
    go_sum: include_str!("../../tools/etcd/go.sum"),
    tags: "",
    cgo: false,
};
static KUBERNETES: Module = Module {
    version: KUBERNETES_VERSION,
    directory: "kubernetes-1.37.2-etcd-3.7.3",
    go_mod: include_str!("../../tools/kubernetes/go.mod"),
    go_sum: include_str!("../../tools/kubernetes/go.sum"),
    tags: "",
    cgo: false,
};
static CONTAINERD: Module = Module {
    version: "2.4.2",
    directory: "containerd-2.4.2",
    go_mod: include_str!("../../tools/containerd/go.mod"),
    go_sum: include_str!("../../tools/containerd/go.sum"),
    // Snapshotters that want C libraries or other file systems.
    tags: "no_btrfs,no_devmapper,no_zfs,no_aufs",
    cgo: false,
};
static RUNC: Module = Module {
    version: "1.5.2",
    directory: "runc-1.5.2",
    go_mod: include_str!("../../tools/runc/go.mod"),
    go_sum: include_str!("../../tools/runc/go.sum"),
    // The restricted profile demands a seccomp filter, and the filter's library is C.
    tags: "seccomp",
    cgo: true,
};
/// The one that the checks of the chart use, where they keep it.
static HELM: Module = Module {
    version: "4.3.1",
    directory: "tools/helm-v4.3.1",
    go_mod: include_str!("../../../chart/tools/helm/go.mod"),
    go_sum: include_str!("../../../chart/tools/helm/go.sum"),
    tags: "",
    cgo: false,
};

/// A program that can be found or built.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// File name, such as `kube-apiserver`.
    pub name: &'static str,
    pub(super) package: &'static str,
    pub(super) module: &'static Module,
}

const fn binary(module: &'static Module, name: &'static str, package: &'static str) -> Binary {
    Binary {
        name,
        package,
        module,
    }
}

/// The command line client. It is all that is needed where a cluster exists already.
pub const KUBECTL: Binary = binary(&KUBERNETES, "kubectl", "k8s.io/kubernetes/cmd/kubectl");

/// What a control plane without nodes needs, in the order it is built.
pub const CONTROL_PLANE: [Binary; 4] = [
    binary(&ETCD, "etcd", "go.etcd.io/etcd/server/v3"),
    binary(
        &KUBERNETES,
        "kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-apiserver",
    ),
    binary(
        &KUBERNETES,
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    KUBECTL,
];

/// What a node needs besides, in the order it is built; runc needs gcc, pkg-config and libseccomp's headers.
pub const NODE: [Binary; 7] = [
    binary(
        &KUBERNETES,
        "kube-scheduler",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    binary(&KUBERNETES, "kubelet", "k8s.io/kubernetes/cmd/kubelet"),
    binary(
        &KUBERNETES,
        "kube-proxy",
        "k8s.io/kubernetes/cmd/kube-proxy",
    ),
    binary(
        &CONTAINERD,
        "containerd",
        "github.com/containerd/containerd/v2/cmd/containerd",
    ),
    binary(
        &CONTAINERD,
        "containerd-shim-runc-v2",
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    ),
    binary(
        &CONTAINERD,
        "ctr",
        "github.com/containerd/containerd/v2/cmd/ctr",
    ),
    binary(&RUNC, "runc", "github.com/opencontainers/runc"),
];

/// Installs the chart.
pub const HELM_CLIENT: Binary = binary(&HELM, "helm", "helm.sh/helm/v4/cmd/helm");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_modules_name_the_versions_we_claim() {
        for (module, path) in [
            (&KUBERNETES, "k8s.io/kubernetes"),
            (&ETCD, "go.etcd.io/etcd/server/v3"),
            (&CONTAINERD, "github.com/containerd/containerd/v2"),
            (&RUNC, "github.com/opencontainers/runc"),
            (&HELM, "helm.sh/helm/v4"),
        ] {
            assert!(
                module
                    .go_mod
                    .contains(&format!("{path} v{}", module.version)),
                "{path} {}",
                module.version
            );
            assert!(module.directory.contains(module.version), "{path}");
        }
    }
}
