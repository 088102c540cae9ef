//! What the user writes: the custom resources, their conditions and reasons.
