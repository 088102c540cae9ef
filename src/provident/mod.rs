//! What the vendor says: its types, how an answer is read, and the client that asks.

pub mod emulator;
pub mod outcome;
pub mod types;
