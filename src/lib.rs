//! Manages OAuth 2.0 clients in the Provident API, and the Secrets that hold their credentials.
//!
//! The layers, each using only those below it:
//! - [`cli`]: commands and flags
//! - [`manager`], [`leader`]: run the controllers: watches, triggers, leader election, shutdown
//! - [`oauth_client`], [`connection`]: the two controllers: observe, plan, execute, report
//! - [`context`], [`state`]: what reconciles share: clients, configuration, and what this process remembers
//! - [`vendor`], [`cluster`]: HTTP calls to the vendor, and requests to the Kubernetes API server
//! - [`provident_core`]: what to do next, and all types that decide it; pure, in a crate of its own
//!
//! Supporting modules, which depend on no controller: [`admin`], [`config`], [`metrics`], [`telemetry`].

pub mod admin;
pub mod cli;
mod clock;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod context;
mod jitter;
pub mod leader;
mod listen;
pub mod manager;
pub mod metrics;
pub mod oauth_client;
mod reconcile;
pub mod state;
pub mod telemetry;
pub mod vendor;
