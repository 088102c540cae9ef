//! Opens the model of `tests/model` in a browser, to walk through it step by step:
//! `cargo run --example explore [part of the name of a run or of a mistake]`, then <http://localhost:3000>.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::too_many_lines,
    clippy::needless_pass_by_value
)]
#![allow(clippy::expect_used, clippy::panic)]

// What only the tests need.
#[allow(dead_code)]
#[path = "../tests/model/system/mod.rs"]
mod system;

use std::process::ExitCode;

use stateright::Model;
use system::System;
use system::mistakes::MISTAKES;
use system::runs::{self, run};

const ADDRESS: &str = "localhost:3000";

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if let Some(run) = runs::all().find(|run| run.name.contains(&wanted)) {
        let reached = run.reaches.join(", ");
        println!("{}; it reaches: {reached}", run.name);
        println!("Its steps: {}", run.steps.concat().join(", "));
        return explore(run.system.clone());
    }
    let named = |(mistake, ..): &&(_, _, _)| format!("{mistake:?}").contains(&wanted);
    if let Some((mistake, name, promise)) = MISTAKES.iter().find(named) {
        println!("{mistake:?}, in \"{name}\"; it breaks: {promise}");
        return explore(System {
            mistake: Some(*mistake),
            ..run(name).system.clone()
        });
    }
    eprintln!("No run or mistake has \"{wanted}\" in its name. The runs");
    for run in runs::all() {
        eprintln!("  {}", run.name);
    }
    eprintln!("The mistakes");
    for (mistake, ..) in MISTAKES {
        eprintln!("  {mistake:?}");
    }
    ExitCode::FAILURE
}

fn explore(system: System) -> ExitCode {
    println!("Bounds: {}", system.bounds());
    println!("Open http://{ADDRESS}; stop it with Ctrl-C");
    system.checker().serve(ADDRESS);
    ExitCode::SUCCESS
}
