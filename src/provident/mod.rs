//! What the vendor says: its types, how an answer is read, and the client that asks.

pub mod addresses;
mod answer;
pub mod call;
pub mod client;
pub mod connection;
pub mod emulator;
pub mod error;
pub mod http;
pub mod limiter;
pub mod outcome;
pub mod token;
pub mod types;
