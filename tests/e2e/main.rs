//! The operator, in process, against a real API server and the emulated vendor.
//!
//! Every test has a [`world::World`] of its own on the one control plane of this binary, so tests run side by side.
//! A test is named `sNN_…` after its scenario: a fault at one point of a client's life, and what a user sees then.
#![allow(clippy::large_futures, reason = "a test holds its world in its future")]
#![allow(clippy::needless_pass_by_value, reason = "JSON reads better by value")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admission;
mod adoption;
mod adoption_refused;
mod api_server;
mod binding_key;
mod canary;
mod connection;
mod connection_health;
mod crash;
mod create;
mod credentials;
mod declared;
mod deletion;
mod drift;
mod dying;
mod emptied;
mod ending;
mod figures;
mod foreign;
mod forged;
mod in_use;
mod leader;
mod leader_lost;
mod level;
mod lifecycle;
mod limits;
mod log_lines;
mod modes;
mod more;
mod operator;
mod oracles;
mod orphaned;
mod own_plane;
mod point;
mod policy;
mod recycled;
mod redirect;
mod refused;
mod repair;
mod requests;
mod restart;
mod restore;
mod rights;
mod rivals;
mod rotation;
mod rotation_crash;
mod scale;
mod schedule;
mod secret;
mod settled;
mod stop;
mod tenant;
mod tls;
mod traces;
mod trouble;
mod unknown;
mod unusual_metadata;
mod update;
mod upgrade;
mod waits;
mod walk;
mod watch;
mod world;
