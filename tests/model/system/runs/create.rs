//! A client is made, once, whatever happens meanwhile; then it is updated, deleted, restored, forged.

use super::super::{Budget, Edit, Row, System};
use super::{CALM, Run, system};

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
        name: "the connection tries again by itself",
        system: System {
            retries_itself: true,
            ..system(
                2,
                Budget {
                    crashes: 1,
                    vendor: 2,
                    ..CALM
                },
                &[],
            )
        },
        reaches: &["ready", "held", "tried again"],
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
