//! What this process remembers between reconciles.

pub mod backoff;
pub mod binding_key;
pub mod client_index;
pub mod connection_registry;
pub mod create_attempts;
pub mod keyed_locks;
pub mod leadership;
pub mod repairs;
pub mod rotation_memory;
pub mod secret_cache;
