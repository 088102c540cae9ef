//! The emulator as its callers see it: every rule of the API document, and each fault from the outside.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod api;
mod caller;
mod command;
mod faults;
mod in_flight;
mod inspection;
mod limits;
mod persistence;
mod refusals;
mod token;
mod trials;
