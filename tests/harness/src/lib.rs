//! A real Kubernetes control plane for tests and trials, and faults on the way to it.
//!
//! - [`binaries`]: finds etcd, kube-apiserver and what else a cluster is made of, or builds it from its Go modules.
//! - [`control_plane`]: starts them on free ports; whatever it starts ends with the process that started it.
//! - [`node`]: adds a node, so that pods really run.
//! - [`faults`]: a layer for kube's client that records requests, and fails, delays or loses them on demand.
//!
//! `cargo dev` is the same for people: `cargo dev up` gives a cluster to try things on.
//!
//! # Environment
//! - `KUBEBUILDER_ASSETS`: a directory with binaries that are used before all others.
//! - `XDG_CACHE_HOME` (default `~/.cache`): what is built goes to `provident-operator/` below it.
//! - `PROVIDENT_TEST_KUBECONFIG`: [`ControlPlane::shared`] uses this cluster instead of starting one.

pub mod binaries;
pub mod command;
pub mod control_plane;
pub mod faults;
pub mod node;

pub use control_plane::ControlPlane;
pub use node::Node;
