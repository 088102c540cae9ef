//! HTTP calls to the vendor: the client, tokens, limits, and what is known of a connection's health.

pub mod addresses;
pub mod call;
pub mod client;
pub mod connection;
pub mod health;
pub mod http;
pub mod limiter;
mod response;
pub mod token;
mod transport_error;
