//! What the vendor says.
pub mod emulator;
