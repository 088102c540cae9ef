//! Keeps OAuth 2.0 clients of the Provident API, and the Secrets that carry their credentials, as declared.
//!
//! The layers, each using only those below it:
//! - [`cli`]: commands and flags
//! - [`controller`]: watches, triggers, and the life of the process
//! - [`reconcile`]: the shell around the plan: observe, act, report
//! - [`plan`], [`secret`], [`binding`]: what to do next, what a Secret holds, whose a client is; pure
//! - [`provident`]: the vendor: its types, its client, and an emulator of it
//! - [`api`]: what users write and read; pure
//!
//! Beside them, used by the shell and using none of it: [`admin`], [`cluster`], [`leader`], [`metrics`], [`telemetry`].

pub mod admin;
pub mod api;
pub mod binding;
pub mod cli;
pub mod cluster;
pub mod controller;
mod jitter;
pub mod leader;
pub mod metrics;
pub mod plan;
pub mod provident;
pub mod reconcile;
pub mod secret;
pub mod telemetry;
