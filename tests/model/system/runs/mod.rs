//! The bounds: what happens to the processes in each run, and how often. The checker visits every interleaving within them.
//! Several small runs, each deep in one thing, show more than a single one that is shallow in all.

mod create;
mod life;

pub use create::RUNS as CREATE;
pub use life::RUNS as LIFE;

use super::{Budget, Coverage, Edit, Row, Start, System};

/// A model to check, and what must happen in it.
pub struct Run {
    /// Its name for tests and the explorer.
    pub name: &'static str,
    /// Its bounds.
    pub system: System,
    /// Properties of the kind `sometimes` that it must reach, or else it proves nothing.
    pub reaches: &'static [&'static str],
    /// The steps that the plan names in it: these and no others.
    pub steps: &'static [&'static [&'static str]],
}

// Steps that belong together.
const CREATES: &[&str] = &[
    "ReadSecret",
    "Preflight",
    "AddFinalizer",
    "Claim",
    "Create",
    "Verify",
    "WriteSecret",
];
const KEEPS: &[&str] = &["ReadSecret", "Verify", "WriteSecret"];
const UPDATES: &[&str] = &["Update"];
const DELETES: &[&str] = &["Deactivate", "Release"];
const RETAINS: &[&str] = &["DisownSecret", "Release"];
const ROTATES: &[&str] = &[
    "ReadSecret",
    "Verify",
    "Preflight",
    "RecordRotation",
    "Rotate",
    "WriteSecret",
];
const RESTARTS: &[&str] = &["RestartWorkloads"];
const REJECTS: &[&str] = &["ReadSecret", "AddFinalizer"];
const ADOPTS: &[&str] = &[
    "ReadSecret",
    "AddFinalizer",
    "Adopt",
    "Verify",
    "WriteSecret",
];

const CALM: Budget = Budget {
    crashes: 0,
    terms: 0,
    api: 0,
    stale: 0,
    vendor: 0,
    edits: 0,
    replaces: 0,
    deletes: 0,
    recreates: 0,
    restores: 0,
    secrets: 0,
    empties: 0,
    retries: 0,
    forgeries: 0,
    strangers: 0,
    suspensions: 0,
    removals: 0,
    tokens: 0,
    dues: 0,
    hands: 0,
    lags: 0,
    rekeys: 0,
    uninstalls: 0,
};

const fn system(processes: usize, budget: Budget, edits: &'static [Edit]) -> System {
    System {
        processes,
        budget,
        replies: Row::KINDS,
        edits,
        start: Start::Declared,
        may_adopt: false,
        retries_itself: false,
        restarts: false,
        mistake: None,
        coverage: Coverage::NONE,
    }
}

/// All runs.
pub fn all() -> impl Iterator<Item = &'static Run> {
    CREATE.iter().chain(LIFE)
}

/// The run of this name.
///
/// # Panics
/// There is none.
pub fn run(name: &str) -> &'static Run {
    let found = all().find(|run| run.name == name);
    found.unwrap_or_else(|| panic!("no run is called {name}"))
}
