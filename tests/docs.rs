//! The documentation against the code: reasons, metrics, tests and links that pages name exist.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use provident_core::api::Reason;

const OPERATIONS: &str = include_str!("../docs/operations.md");
const VERIFICATION: &str = include_str!("../docs/verification.md");

#[test]
fn every_reason_is_documented() {
    for reason in Reason::ALL {
        let heading = format!("### {reason}");
        assert!(
            OPERATIONS.lines().any(|line| line == heading),
            "docs/operations.md has no heading \"{heading}\""
        );
    }
}

// Read from the source, since `/metrics` omits a family that has counted nothing yet.
#[test]
fn every_metric_is_documented_and_nothing_else() {
    let mut names = Vec::new();
    for (_, source) in files("src/metrics", "rs") {
        names.extend(registered(&source));
    }
    assert!(names.len() > 20, "found only {names:?} in src/metrics");
    names.sort();
    let rows = OPERATIONS
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

// The names in `register(registry, "…"`, `LabelledGauge::new(registry, "…"` and `registry.register("…"`.
fn registered(source: &str) -> Vec<String> {
    let direct = source.split("registry.register(").skip(1);
    let helped = source.split(" registry,").chain(source.split("(registry,"));
    direct
        .chain(helped)
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_scenario_and_invariant_has_a_row_with_its_proof() {
    let scenarios = (1..=57).map(|number| number.to_string());
    let invariants = (1..=18).map(|number| format!("S{number}"));
    for number in scenarios.chain(invariants) {
        let start = format!("| {number} | ");
        let rows: Vec<&str> = VERIFICATION
            .lines()
            .filter_map(|line| line.strip_prefix(&start))
            .collect();
        let [row] = rows[..] else {
            panic!("docs/verification.md has {} rows for {number}", rows.len());
        };
        let proof = row.split(" | ").nth(1).unwrap_or_default();
        let proved = ["`", "scenario", "by construction", "ot covered"]
            .iter()
            .any(|way| proof.contains(way));
        assert!(proved, "docs/verification.md: {number} has no proof");
    }
}

/// Pages write a test as `file.rs::function`, and a mistake seeded into the model as `Mistake::Name`.
#[test]
fn every_test_and_mistake_that_a_page_names_exists() {
    let mut sources = BTreeMap::new();
    for folder in ["src", "crates", "tests"] {
        sources.extend(files(folder, "rs"));
    }
    let holds = |text: &str| -> Vec<&PathBuf> {
        let found = sources.iter().filter(|(_, source)| source.contains(text));
        found.map(|(path, _)| path).collect()
    };
    let mut wrong = Vec::new();
    let mut named = 0;
    for (page, text) in pages() {
        for code in text.split('`').skip(1).step_by(2) {
            if let Some(mistake) = code.strip_prefix("Mistake::") {
                let seeded = |path: &&PathBuf| path.starts_with("tests/model");
                if !holds(&format!("    {mistake},")).iter().any(seeded) {
                    wrong.push(format!("{}: no mistake {mistake}", page.display()));
                }
            } else if let Some((file, function)) = code.split_once(".rs::") {
                named += 1;
                let places = holds(&format!("fn {function}("));
                let file = format!("{file}.rs");
                if !places.iter().any(|path| path.ends_with(&file)) {
                    wrong.push(format!("{}: {code} is in {places:?}", page.display()));
                }
            }
        }
    }
    assert!(named > 150, "pages name only {named} tests");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            let found = fs::read_to_string(root().join(&target));
            let there = match found {
                Ok(text) => heading.is_empty() || anchors(&text).any(|anchor| anchor == heading),
                // A folder.
                Err(_) => heading.is_empty() && root().join(&target).exists(),
            };
            if !there {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
}

// As GitHub makes them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// The pages that people write, by their path in the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let mut pages = files("docs", "md");
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        pages.push((name.into(), text));
    }
    pages
}

/// All files below a folder that end so, by their path in the repository; none if there is no such folder.
fn files(folder: impl AsRef<Path>, extension: &str) -> Vec<(PathBuf, String)> {
    let folder = folder.as_ref();
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(root().join(&path)).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
