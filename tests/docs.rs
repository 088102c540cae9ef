//! The operations page has an entry for every reason and every metric: who is woken at night looks there.
#![allow(clippy::unwrap_used)]

use std::fs;

use provident_core::api::Reason;

const PAGE: &str = include_str!("../docs/operations.md");

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
fn every_metric_has_its_entry_and_no_entry_is_of_none() {
    let mut names = Vec::new();
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            names.extend(registered(&fs::read_to_string(path).unwrap()));
        }
    }
    assert!(names.len() > 20, "found only {names:?} in src/metrics");
    names.sort();
    let rows = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `provident_operator_"));
    let shown = rows.filter_map(|row| row.split(['`', '{']).next());
    let mut shown: Vec<_> = shown
        .map(|name| name.trim_end_matches("_total").trim_end_matches("_info"))
        .collect();
    shown.sort_unstable();
    assert_eq!(
        shown, names,
        "rows of docs/operations.md, and names in src/metrics"
    );
}

// The names in `register(registry, "…"`, `Tally::new(registry, "…"` and `registry.register("…"`.
fn registered(source: &str) -> Vec<String> {
    let direct = source.split("registry.register(").skip(1);
    let helped = source.split(" registry,").chain(source.split("(registry,"));
    direct
        .chain(helped)
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .map(ToOwned::to_owned)
        .collect()
}
