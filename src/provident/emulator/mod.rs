//! The vendor as a stateful server, for tests and trials.
