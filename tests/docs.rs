//! The operations page has an entry for every reason and every metric: who is woken at night looks there.

use provident_operator::api::Reason;

const PAGE: &str = include_str!("../docs/operations.md");
const METRICS: &str = include_str!("../src/metrics.rs");

#[test]
fn every_reason_has_its_entry() {
    for reason in Reason::ALL {
        let heading = format!("### {reason}");
        assert!(
            PAGE.lines().any(|line| line == heading),
            "docs/operations.md has no heading \"{heading}\""
        );
    }
}

// By the source, since a family that has counted nothing yet is not in the text of `/metrics`.
#[test]
fn every_metric_has_its_entry() {
    let calls = |of| METRICS.split(of).skip(1);
    let names: Vec<_> = calls("registry.register(")
        .chain(calls("counter("))
        .filter_map(|call| {
            let arguments = call.trim_start();
            let arguments = arguments
                .strip_prefix("&mut registry,")
                .unwrap_or(arguments);
            arguments.trim_start().strip_prefix('"')?.split('"').next()
        })
        .collect();
    assert!(names.len() > 5, "found only {names:?} in src/metrics.rs");
    for name in names {
        let has_entry = PAGE.lines().any(|line| {
            line.strip_prefix("| `provident_operator_")
                .and_then(|row| row.split(['`', '{']).next())
                .is_some_and(|shown| {
                    shown.trim_end_matches("_total").trim_end_matches("_info") == name
                })
        });
        assert!(has_entry, "docs/operations.md has no row for {name}");
    }
}
