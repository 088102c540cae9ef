//! The operations page has an entry for every reason and every metric: who is woken at night looks there.

use provident_operator::api::Reason;
use provident_operator::metrics::Metrics;

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

#[test]
fn every_metric_has_its_entry() {
    let text = Metrics::default().text();
    let types: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    assert!(!types.is_empty(), "no metric is registered");
    for (name, kind) in types {
        // As Prometheus shows it: OpenMetrics leaves these suffixes to the samples.
        let shown = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let entry = format!("| `{shown}");
        let has_entry = PAGE.lines().any(|line| {
            line.strip_prefix(&entry)
                .is_some_and(|rest| rest.starts_with(['`', '{']))
        });
        assert!(has_entry, "docs/operations.md has no row for {shown}");
    }
}
