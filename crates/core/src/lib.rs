//! The pure part of the operator: it decides, and does no I/O.
//!
//! - [`api`]: the custom resources that users write and read
//! - [`vendor`]: the vendor's types, and what its answers prove
//! - [`plan`]: facts, the next step, and how an observation changes the facts
//! - [`secret`]: what the generated Secret holds
//! - [`binding`]: the keyed hash that binds a clientId to its object
//!
//! The crate has no async runtime, no HTTP client and no Kubernetes client among its dependencies, and `clippy.toml`
//! forbids clocks: whatever a decision rests on is passed in. The model checker in `tests/model` therefore runs these very
//! functions.

pub mod api;
pub mod binding;
pub mod plan;
pub mod secret;
pub mod vendor;
