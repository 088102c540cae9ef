//! The custom resource definitions: the files are what the types say, every property is explained, and the rules
//! accept and refuse what they should, in this process and on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "crd/api_server.rs"]
mod api_server;
#[path = "crd/files.rs"]
mod files;
#[path = "crd/rules.rs"]
mod rules;
#[path = "crd/status.rs"]
mod status;
