//! The table of results, printed row by row and written as Markdown.

use std::{fmt::Write, time::Duration};

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Goal {
    /// Nothing; the value is only reported.
    None,
    /// A target. Machines differ, so missing it is not a failure.
    Target(String, bool),
    /// A promise of the design. Breaking it fails the run.
    Promise(String, bool),
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    operator: String,
    floor: String,
    ratio: String,
    goal: Goal,
}

impl Row {
    /// A value of the operator.
    pub fn new(what: impl Into<String>, operator: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            operator: operator.into(),
            floor: String::new(),
            ratio: String::new(),
            goal: Goal::None,
        }
    }

    /// Adds the value of the floor, and the ratio of the operator's to it.
    pub fn floor(mut self, floor: impl Into<String>, ratio: f64) -> Self {
        self.floor = floor.into();
        self.ratio = format!("{ratio:.2}");
        self
    }

    /// Adds a target.
    pub fn target(mut self, goal: impl Into<String>, reached: bool) -> Self {
        self.goal = Goal::Target(goal.into(), reached);
        self
    }

    /// Adds a promise.
    pub fn promise(mut self, goal: impl Into<String>, kept: bool) -> Self {
        self.goal = Goal::Promise(goal.into(), kept);
        self
    }
}

/// All rows, by part.
#[derive(Debug, Default)]
pub struct Table(Vec<(String, Vec<Row>)>);

impl Table {
    /// Begins a part.
    pub fn part(&mut self, title: &str) {
        self.0.push((title.to_owned(), Vec::new()));
    }

    /// Adds a row to the last part and prints it.
    pub fn add(&mut self, row: Row) {
        let floor = match row.floor.as_str() {
            "" => String::new(),
            floor => format!("; floor {floor}; ratio {}", row.ratio),
        };
        println!(
            "    {}: {}{floor}{}",
            row.what,
            row.operator,
            describe(&row.goal)
        );
        if let Some((_, rows)) = self.0.last_mut() {
            rows.push(row);
        }
    }

    /// The promises that were broken.
    pub fn broken(&self) -> Vec<&str> {
        let rows = self.0.iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| matches!(row.goal, Goal::Promise(_, false)))
            .map(|row| row.what.as_str())
            .collect()
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| | operator | floor | ratio | goal |\n| --- | --- | --- | --- | --- |\n",
        );
        for (title, rows) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| **{title}** | | | | |");
            for row in rows {
                let goal = describe(&row.goal);
                let goal = goal.trim_start_matches("; ");
                let Row {
                    what,
                    operator,
                    floor,
                    ratio,
                    ..
                } = row;
                let _ = writeln!(text, "| {what} | {operator} | {floor} | {ratio} | {goal} |");
            }
        }
        text
    }
}

fn describe(goal: &Goal) -> String {
    match goal {
        Goal::None => String::new(),
        Goal::Target(goal, true) => format!("; {goal}: reached"),
        Goal::Target(goal, false) => format!("; {goal}: **missed**"),
        Goal::Promise(goal, true) => format!("; {goal}: kept"),
        Goal::Promise(goal, false) => format!("; {goal}: **BROKEN**"),
    }
}

/// A duration in milliseconds, as text.
pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Converts KiB to MiB.
#[allow(clippy::cast_precision_loss)]
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
