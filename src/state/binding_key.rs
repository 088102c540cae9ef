//! What this process knows of the binding key.

use provident_core::binding::BindingKey;

/// What is known of the key.
#[derive(Clone)]
pub enum KeyState {
    /// Not looked for yet.
    Unknown,
    /// Gone, while objects carry bindings made with it.
    Missing,
    /// At hand.
    Loaded(Box<BindingKey>),
}
