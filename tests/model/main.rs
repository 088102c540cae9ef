//! Checks the design's promises: runs the program's own plan in a model of everything that may happen to it, in every
//! interleaving within the bounds of `system/runs`. A broken promise fails the test with the shortest path to it.
//! `cargo run --example explore` shows the same models in a browser.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    clippy::large_types_passed_by_value
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod system;
mod two_objects;

use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;
use std::time::Instant;

use provident_core::plan::Step;
use stateright::{Checker, HasDiscoveries, Model, Path};
use strum::VariantNames;
use system::mistakes::MISTAKES;
use system::runs::{self, Run, run};
use system::{Coverage, System};
use two_objects::TwoObjects;

/// A broken promise, and the shortest path to it.
type Broken<M> = (
    &'static str,
    Path<<M as Model>::State, <M as Model>::Action>,
);

/// Visits every state, or stops at the first broken promise. `reaches` are properties that must be reached.
fn check<M>(name: &str, bounds: &str, model: M, reaches: &[&str]) -> Result<(), Broken<M>>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let checker = model
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
    if let Some(violation) = violation {
        return Err(violation);
    }
    assert!(checker.is_done(), "{name}: not every state was visited");
    for property in reaches {
        assert!(found.contains_key(property), "{name}: never {property}");
    }
    Ok(())
}

/// A broken promise in words: the path to it, and where it ends.
fn describe<State: Debug + PartialEq, Action: Debug + PartialEq>(
    (property, path): (&str, Path<State, Action>),
) -> String {
    let world = format!("{:#?}", path.last_state());
    let actions = path.into_actions();
    let steps: Vec<String> = actions.iter().map(|step| format!("  {step:?}")).collect();
    format!("\"{property}\" is broken by\n{}\n{world}", steps.join("\n"))
}

#[test]
fn a_client_is_created_once_in_every_run() {
    every_promise_holds_in(runs::CREATE);
}

#[test]
fn a_client_is_kept_in_every_run() {
    every_promise_holds_in(runs::LIFE);
}

fn every_promise_holds_in(runs: &[Run]) {
    for run in runs {
        let coverage = Coverage::recording();
        let system = System {
            coverage,
            ..run.system.clone()
        };
        let result = check(run.name, &system.bounds(), system, run.reaches);
        if let Err(broken) = result {
            panic!("{}: {}", run.name, describe(broken));
        }
        let listed = run.steps.concat();
        let expected = Step::VARIANTS.iter().filter(|step| listed.contains(step));
        assert_eq!(
            coverage.steps(),
            expected.copied().collect::<Vec<_>>(),
            "{}: the steps that the plan names, and those that the run lists",
            run.name
        );
    }
}

/// Each run checks that it reaches the steps that it lists; here, that no step is missing from all lists.
#[test]
fn every_step_is_reached_in_a_run() {
    let listed: Vec<&str> = runs::all().flat_map(|run| run.steps.concat()).collect();
    for step in Step::VARIANTS {
        assert!(listed.contains(step), "no run reaches {step}");
    }
}

#[test]
fn one_client_has_one_object() {
    for (name, two_objects, reaches) in two_objects::RUNS {
        let result = check(name, &two_objects.bounds(), two_objects.clone(), reaches);
        if let Err(broken) = result {
            panic!("{name}: {}", describe(broken));
        }
    }
}

/// A checker that finds nothing proves nothing. It must find each of these, by the promise that it breaks.
#[test]
fn every_mistake_is_found() {
    for (mistake, name, promise) in MISTAKES {
        let system = System {
            mistake: Some(*mistake),
            ..run(name).system.clone()
        };
        let title = format!("{mistake:?} in {name}");
        let found = check(&title, &system.bounds(), system.clone(), &[]);
        assert_eq!(
            found.err().map(|(property, _)| property),
            Some(*promise),
            "{mistake:?}"
        );
    }
    for (mistake, index, promise) in two_objects::MISTAKES {
        let (name, two_objects, _) = &two_objects::RUNS[*index];
        let two_objects = TwoObjects {
            mistake: Some(*mistake),
            ..two_objects.clone()
        };
        let title = format!("{mistake:?} in {name}");
        let found = check(&title, &two_objects.bounds(), two_objects.clone(), &[]);
        assert_eq!(
            found.err().map(|(property, _)| property),
            Some(*promise),
            "{mistake:?}"
        );
    }
}
