//! The bounds: what happens to the processes in each run, and how often. Every interleaving within them is visited.
//! Several small runs, each deep in one thing, say more than a single one that is shallow in all.

use super::{Budget, Edit, Row, System};

/// A model to check, and what must be seen happening in it.
pub struct Run {
    /// How tests and the explorer call it.
    pub name: &'static str,
    /// Its bounds.
    pub system: System,
    /// Properties of the kind `sometimes` that it must reach: else it proves nothing.
    pub reaches: &'static [&'static str],
}

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
    retries: 0,
    forgeries: 0,
    strangers: 0,
    suspensions: 0,
    removals: 0,
};

const fn system(processes: usize, budget: Budget, edits: &'static [Edit]) -> System {
    System {
        processes,
        budget,
        replies: Row::KINDS,
        edits,
        mistake: None,
    }
}

/// All runs.
pub const RUNS: &[Run] = &[
    Run {
        name: "every reply, with crashes and lost answers",
        system: System {
            replies: Row::EVERY,
            ..system(
                1,
                Budget {
                    crashes: 2,
                    api: 2,
                    vendor: 2,
                    retries: 1,
                    ..CALM
                },
                &[],
            )
        },
        reaches: &["ready", "held", "rejected", "tried again"],
    },
    Run {
        name: "two processes, a crash, a lost answer",
        system: system(
            2,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held"],
    },
    Run {
        name: "two processes, outdated caches",
        system: system(
            2,
            Budget {
                crashes: 1,
                stale: 2,
                vendor: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held"],
    },
    Run {
        name: "retry after a crash",
        system: system(
            2,
            Budget {
                crashes: 1,
                vendor: 2,
                retries: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "tried again"],
    },
    Run {
        name: "retry while an answer waits to be stored",
        system: system(
            2,
            Budget {
                api: 2,
                retries: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "tried again", "late answer"],
    },
    Run {
        name: "deleted and declared again",
        system: system(
            2,
            Budget {
                crashes: 1,
                stale: 1,
                deletes: 1,
                recreates: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "late answer", "released"],
    },
    Run {
        name: "deleted while the policy changes",
        system: system(
            2,
            Budget {
                stale: 1,
                edits: 1,
                deletes: 1,
                recreates: 1,
                ..CALM
            },
            &[Edit::Retain],
        ),
        reaches: &["ready", "late answer", "released", "taken up"],
    },
    Run {
        name: "deleted while everything fails",
        system: system(
            1,
            Budget {
                crashes: 1,
                terms: 1,
                api: 1,
                vendor: 1,
                edits: 1,
                deletes: 1,
                recreates: 1,
                suspensions: 1,
                ..CALM
            },
            &[Edit::Retain],
        ),
        reaches: &["ready", "released", "taken up"],
    },
    Run {
        name: "deleted with a crash, a lost answer and a bad reply",
        system: system(
            2,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                deletes: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "late answer", "released"],
    },
    Run {
        name: "kubectl replace",
        system: system(
            2,
            Budget {
                crashes: 1,
                replaces: 1,
                deletes: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "late answer", "released"],
    },
    Run {
        name: "restored without status",
        system: system(
            2,
            Budget {
                crashes: 1,
                deletes: 1,
                restores: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "late answer", "released", "taken up"],
    },
    Run {
        name: "a tenant who edits and forges",
        system: system(
            1,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                edits: 1,
                forgeries: 1,
                strangers: 1,
                ..CALM
            },
            &[Edit::Retain, Edit::Suspend, Edit::Active],
        ),
        reaches: &["ready", "held"],
    },
    Run {
        name: "two processes and a tenant who forges",
        system: system(
            2,
            Budget {
                edits: 1,
                forgeries: 1,
                ..CALM
            },
            &[Edit::Retain, Edit::Suspend, Edit::Active],
        ),
        reaches: &["ready"],
    },
    Run {
        name: "the client removed at the vendor",
        system: system(
            1,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                deletes: 1,
                recreates: 1,
                removals: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "released"],
    },
];

/// The run of this name.
///
/// # Panics
/// There is none.
pub fn run(name: &str) -> &'static Run {
    let found = RUNS.iter().find(|run| run.name == name);
    found.unwrap_or_else(|| panic!("no run is called {name}"))
}
