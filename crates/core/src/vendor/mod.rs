//! The vendor's types, and what its answers prove.

mod decode;
pub mod error;
mod field;
pub mod outcome;
pub mod types;
