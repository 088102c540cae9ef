//! The proof of the design's promises: the program's own plan, in a model of everything that may happen to it, checked
//! in every interleaving within the bounds of `system/runs.rs`. A broken promise fails the test with the shortest path
//! to it. `cargo run --example explore` shows the same models in a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod system;

use std::io::Write;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};
use system::mistakes::MISTAKES;
use system::runs::{self, run};
use system::{Action, System, World};

type Violation = (&'static str, Path<World, Action>);

/// Visits every state, or stops at the first promise that is broken.
fn check(name: &str, system: System, reaches: &[&str]) -> Option<Violation> {
    let began = Instant::now();
    let bounds = system.bounds();
    let checker = system
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries();
    let properties = checker.model().properties();
    let violation = properties
        .iter()
        .filter(|property| property.expectation.discovery_is_failure())
        .find_map(|property| Some((property.name, found.remove(property.name)?)));
    let result = violation
        .as_ref()
        .map_or(String::new(), |(property, path)| {
            let steps = path.clone().into_actions().len();
            format!(", {steps} steps to break \"{property}\"")
        });
    // Straight to the terminal: a test's own output is shown only when it fails.
    let line = format!(
        "model: {name} [{bounds}]: {} states, {} transitions, depth {}, {:.1} s{result}\n",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64(),
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if violation.is_none() {
        assert!(checker.is_done(), "{name}: not every state was visited");
        for property in reaches {
            assert!(found.contains_key(property), "{name}: never {property}");
        }
    }
    violation
}

#[test]
fn every_promise_holds_in_every_run() {
    for run in runs::all() {
        if let Ok(only) = std::env::var("ONLY")
            && !run.name.contains(&only)
        {
            continue;
        } // TMP
        let broken = check(run.name, run.system.clone(), run.reaches);
        if let Some((property, path)) = broken {
            let world = format!("{:#?}", path.last_state());
            let steps: Vec<String> = path
                .into_actions()
                .iter()
                .map(|step| format!("  {step:?}"))
                .collect();
            panic!(
                "{}: \"{property}\" is broken by\n{}\n{world}",
                run.name,
                steps.join("\n")
            );
        }
    }
}

/// A checker that finds nothing proves nothing. It must find each of these, and by the promise it breaks.
#[test]
fn every_mistake_is_found() {
    for (mistake, name, promise) in MISTAKES {
        if let Ok(only) = std::env::var("ONLYM")
            && !format!("{mistake:?}").contains(&only)
        {
            continue;
        } // TMP
        let system = System {
            mistake: Some(*mistake),
            ..run(name).system.clone()
        };
        let (property, _) = check(&format!("{mistake:?} in {name}"), system, &[])
            .unwrap_or_else(|| panic!("{mistake:?} is not found"));
        assert_eq!(property, *promise, "{mistake:?}");
    }
}
