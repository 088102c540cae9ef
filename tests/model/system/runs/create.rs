//! A client is created once, whatever happens meanwhile; then it is updated, deleted, restored or forged.

use super::super::{Budget, Edit, Row, Start, System};
use super::{CALM, CREATES, DELETES, RETAINS, Run, UPDATES, system};

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
        reaches: &["ready", "held", "rejected", "retried"],
        steps: &[CREATES],
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
        steps: &[CREATES],
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
        steps: &[CREATES],
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
        reaches: &["ready", "held", "retried"],
        steps: &[CREATES],
    },
    Run {
        name: "a retry while a client waits to be stored",
        system: system(
            2,
            Budget {
                api: 2,
                retries: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "retried", "orphaned"],
        steps: &[CREATES],
    },
    Run {
        name: "the connection retries",
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
        reaches: &["ready", "held", "retried"],
        steps: &[CREATES],
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
        reaches: &["ready", "held", "orphaned", "released"],
        steps: &[CREATES, DELETES],
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
        reaches: &["ready", "orphaned", "released", "taken up"],
        steps: &[CREATES, DELETES, RETAINS],
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
        steps: &[CREATES, DELETES, RETAINS],
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
        reaches: &["ready", "held", "orphaned", "released"],
        steps: &[CREATES, DELETES],
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
        reaches: &["ready", "held", "orphaned", "released"],
        steps: &[CREATES, DELETES],
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
        reaches: &["ready", "orphaned", "released", "taken up"],
        steps: &[CREATES, DELETES],
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
        steps: &[CREATES, UPDATES],
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
        steps: &[CREATES, UPDATES],
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
        steps: &[CREATES, DELETES],
    },
    Run {
        name: "status emptied",
        system: system(
            1,
            Budget {
                api: 1,
                vendor: 2,
                retries: 1,
                empties: 1,
                ..CALM
            },
            &[],
        ),
        reaches: &["ready", "held", "attempt restored"],
        steps: &[CREATES],
    },
    Run {
        name: "a Secret restored during a create",
        system: System {
            start: Start::Former,
            ..system(
                2,
                Budget {
                    crashes: 1,
                    vendor: 1,
                    deletes: 1,
                    secrets: 1,
                    ..CALM
                },
                &[],
            )
        },
        reaches: &["ready", "orphaned", "adopted", "released"],
        steps: &[CREATES, DELETES],
    },
];
