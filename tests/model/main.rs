//! The proof of the design's promises: the program's own plan, in a model of everything that may happen to it, checked
//! in every interleaving within the bounds of `system/runs.rs`. A broken promise fails the test with the shortest path
//! to it. `cargo run --example explore` shows the same models in a browser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rivals;
mod system;

use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;
use std::time::Instant;

use rivals::Rivals;
use stateright::{Checker, HasDiscoveries, Model, Path};
use system::System;
use system::mistakes::MISTAKES;
use system::runs::{self, Run, run};

/// A promise that does not hold, and the shortest way there.
type Broken<M> = (
    &'static str,
    Path<<M as Model>::State, <M as Model>::Action>,
);

/// Visits every state, or stops at the first promise that is broken.
fn check<M>(name: &str, bounds: &str, model: M, reaches: &[&str]) -> Option<Broken<M>>
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
    if violation.is_none() {
        assert!(checker.is_done(), "{name}: not every state was visited");
        for property in reaches {
            assert!(found.contains_key(property), "{name}: never {property}");
        }
    }
    violation
}

/// Fails with the shortest path to a broken promise, if there is one.
fn holds<State: Debug + PartialEq, Action: Debug + PartialEq>(
    name: &str,
    broken: Option<(&str, Path<State, Action>)>,
) {
    let Some((property, path)) = broken else {
        return;
    };
    let world = format!("{:#?}", path.last_state());
    let actions = path.into_actions();
    let steps: Vec<String> = actions.iter().map(|step| format!("  {step:?}")).collect();
    let steps = steps.join("\n");
    panic!("{name}: \"{property}\" is broken by\n{steps}\n{world}");
}

#[test]
fn a_client_is_made_once_in_every_run() {
    every_promise_holds_in(runs::CREATE);
}

#[test]
fn a_client_is_kept_in_every_run() {
    every_promise_holds_in(runs::LIFE);
}

fn every_promise_holds_in(runs: &[Run]) {
    for run in runs {
        let system = run.system.clone();
        let broken = check(run.name, &system.bounds(), system, run.reaches);
        holds(run.name, broken);
    }
}

#[test]
fn one_client_has_one_object() {
    for (name, rivals, reaches) in rivals::RUNS {
        let broken = check(name, &rivals.bounds(), rivals.clone(), reaches);
        holds(name, broken);
    }
}

/// A checker that finds nothing proves nothing. It must find each of these, and by the promise it breaks.
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
            found.map(|(property, _)| property),
            Some(*promise),
            "{mistake:?}"
        );
    }
    for (mistake, index, promise) in rivals::MISTAKES {
        let (name, rivals, _) = &rivals::RUNS[*index];
        let rivals = Rivals {
            mistake: Some(*mistake),
            ..rivals.clone()
        };
        let title = format!("{mistake:?} in {name}");
        let found = check(&title, &rivals.bounds(), rivals.clone(), &[]);
        assert_eq!(
            found.map(|(property, _)| property),
            Some(*promise),
            "{mistake:?}"
        );
    }
}
