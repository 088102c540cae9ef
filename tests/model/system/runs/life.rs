//! An existing client is rotated, adopted, bound again, or released with the CRD.

use super::super::{Budget, Edit, Proof, Row, Start, System};
use super::{
    ADOPTS, CALM, CREATES, DELETES, KEEPS, REJECTS, RESTARTS, RETAINS, ROTATES, Run, UPDATES,
    system,
};

const fn ready(processes: usize, budget: Budget) -> System {
    System {
        start: Start::Ready,
        ..system(processes, budget, &[])
    }
}

const fn adopting(proof: Proof, may_adopt: bool, processes: usize, budget: Budget) -> System {
    System {
        start: Start::Adopting(proof),
        may_adopt,
        ..system(processes, budget, &[Edit::Suspend])
    }
}

/// The runs.
pub const RUNS: &[Run] = &[
    Run {
        name: "a rotation, every reply, crashes and lost answers",
        system: ready(
            1,
            Budget {
                crashes: 2,
                api: 2,
                vendor: 2,
                lags: 1,
                tokens: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "a rotation by two processes",
        system: ready(
            2,
            Budget {
                crashes: 1,
                vendor: 1,
                tokens: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "a rotation that GET shows late, by two processes",
        system: ready(
            2,
            Budget {
                vendor: 1,
                lags: 1,
                tokens: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "a rotation by two processes, outdated caches",
        system: ready(
            2,
            Budget {
                stale: 2,
                vendor: 1,
                tokens: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "two tokens and a schedule",
        system: ready(
            1,
            Budget {
                crashes: 1,
                vendor: 2,
                lags: 1,
                tokens: 2,
                dues: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "a rotation while a person rotates at the vendor",
        system: System {
            restarts: true,
            ..ready(
                2,
                Budget {
                    tokens: 1,
                    hands: 1,
                    ..CALM
                },
            )
        },
        reaches: &["rotated"],
        steps: &[ROTATES, RESTARTS],
    },
    Run {
        name: "a rotation with a crash while a person rotates at the vendor",
        system: ready(
            1,
            Budget {
                crashes: 1,
                vendor: 1,
                lags: 1,
                tokens: 1,
                hands: 1,
                forgeries: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "not applied"],
        steps: &[ROTATES],
    },
    Run {
        name: "a rotation, deleted, declared again or restored",
        system: ready(
            1,
            Budget {
                crashes: 1,
                vendor: 1,
                deletes: 1,
                recreates: 1,
                restores: 1,
                tokens: 1,
                ..CALM
            },
        ),
        reaches: &["rotated", "released", "taken up"],
        steps: &[CREATES, ROTATES, DELETES],
    },
    Run {
        name: "adoption with a proof",
        system: adopting(
            Proof::Right,
            true,
            2,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                stale: 1,
                hands: 1,
                ..CALM
            },
        ),
        reaches: &["adopted"],
        steps: &[ADOPTS, UPDATES],
    },
    Run {
        name: "adoption in place",
        system: adopting(
            Proof::InPlace,
            true,
            1,
            Budget {
                crashes: 1,
                api: 1,
                edits: 1,
                deletes: 1,
                forgeries: 1,
                hands: 1,
                ..CALM
            },
        ),
        reaches: &["adopted", "released"],
        steps: &[ADOPTS, UPDATES, DELETES],
    },
    Run {
        name: "adoption without the right",
        system: adopting(
            Proof::Leaked,
            false,
            1,
            Budget {
                crashes: 1,
                api: 1,
                forgeries: 2,
                deletes: 1,
                ..CALM
            },
        ),
        reaches: &[],
        steps: &[REJECTS],
    },
    Run {
        name: "adoption with a wrong proof",
        system: adopting(
            Proof::Wrong,
            true,
            1,
            Budget {
                crashes: 1,
                api: 1,
                vendor: 1,
                forgeries: 2,
                deletes: 1,
                ..CALM
            },
        ),
        reaches: &[],
        steps: &[REJECTS, &["Adopt", "Release"]],
    },
    Run {
        name: "adoption out of a hold",
        system: System {
            replies: &[Row::NoAnswer],
            edits: &[Edit::Adopt(Proof::Right), Edit::Adopt(Proof::InPlace)],
            may_adopt: true,
            start: Start::Found,
            ..system(
                2,
                Budget {
                    vendor: 1,
                    edits: 1,
                    retries: 1,
                    ..CALM
                },
                &[],
            )
        },
        reaches: &["held", "adopted"],
        steps: &[CREATES, ADOPTS, UPDATES],
    },
    Run {
        name: "the binding key replaced",
        system: System {
            may_adopt: true,
            ..ready(
                2,
                Budget {
                    crashes: 1,
                    api: 1,
                    vendor: 1,
                    forgeries: 1,
                    deletes: 1,
                    rekeys: 1,
                    ..CALM
                },
            )
        },
        reaches: &["adopted"],
        steps: &[KEEPS, &["Adopt"], DELETES],
    },
    Run {
        name: "the CRD deleted",
        system: System {
            edits: &[Edit::Retain],
            ..ready(
                2,
                Budget {
                    vendor: 1,
                    edits: 1,
                    deletes: 1,
                    uninstalls: 1,
                    ..CALM
                },
            )
        },
        reaches: &["released"],
        steps: &[KEEPS, RETAINS, DELETES],
    },
];
