//! The operator, in process, against a real API server and the emulated vendor.
//!
//! Every test has a [`world::World`] of its own on the one control plane of this binary, so tests run side by side.
//! A test is named `sNN_…` after its scenario: a fault at one point of a client's life, and what a user sees then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_server;
mod canary;
mod connection;
mod crash;
mod create;
mod deletion;
mod forged;
mod lifecycle;
mod limits;
mod more;
mod operator;
mod oracles;
mod point;
mod policy;
mod redirect;
mod refused;
mod requests;
mod rivals;
mod secret;
mod stop;
mod tenant;
mod tls;
mod unknown;
mod update;
mod waits;
mod world;
