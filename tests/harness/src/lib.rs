//! A real Kubernetes control plane for tests and development, and faults between it and its clients.
//!
//! - [`binaries`]: finds etcd, kube-apiserver and the other programs of a cluster, or builds them from their Go modules.
//! - [`control_plane`]: starts them on free ports. Everything that it starts ends with the process that started it.
//! - [`node`]: adds a node, so that pods really run.
//! - [`faults`]: a layer for kube's client that records requests, and fails, delays or loses them on demand.
//!
//! `cargo dev` offers the same on the command line: `cargo dev up` starts a cluster for development.
//!
//! # Environment
//! - `HARNESS_KUBERNETES`: the Kubernetes release that [`ControlPlane::start`] and [`ControlPlane::shared`] use, such as `1.32`, or
//!   `oldest` for the oldest supported one. The default is the newest.
//! - `KUBEBUILDER_ASSETS`: a directory with binaries that are preferred to all others, unless another release than the default is
//!   selected.
//! - `XDG_CACHE_HOME` (default `~/.cache`): built programs are kept in its directory `provident-operator/`.
//! - `PROVIDENT_TEST_KUBECONFIG`: [`ControlPlane::shared`] uses this cluster instead of starting one.

pub mod binaries;
pub mod command;
pub mod control_plane;
pub mod faults;
pub mod node;

pub use control_plane::ControlPlane;
pub use node::Node;
