//! Keeps OAuth 2.0 clients of the Provident API, and the Secrets that carry their credentials, as declared.
//!
//! The layers, each using only those below it:

pub mod api;
pub mod binding;
pub mod plan;
pub mod provident;
