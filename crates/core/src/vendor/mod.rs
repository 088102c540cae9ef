//! The vendor's types, and what its answers prove.

mod decode;
pub mod error;
pub mod outcome;
pub mod types;
