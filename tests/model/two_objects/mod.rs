//! A second model: two objects of two namespaces that adopt one client at once, in two processes whose watches lag, and
//! that are deleted. The program's own plan decides who keeps the client, and that it stays active while a living object has
//! it; around it are the locks and the index of the program's shell.
//!
//! - `world`: the objects, the client, and what each process has in its cache.
//! - `observe`: the facts of a pass.
//! - `operate`: a pass, one request at a time.

mod observe;
mod operate;
mod world;

use stateright::{Model, Property};

use provident_core::plan::Step;
pub use world::World;
use world::{Object, Shown};

/// A mistake, to show that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A deletion deactivates the client whoever else has it.
    ConflictIgnored,
    /// Who else has it is known from the watch only, as of the beginning of the pass.
    ConflictUnchecked,
    /// The younger object continues with a client that an older one has.
    YoungerContinues,
}

/// The runs: a name, the bounds, and what must happen.
pub const RUNS: &[(&str, TwoObjects, &[&str])] = &[
    (
        "two objects on one client, two passes of one process",
        two_objects(1, 2, 1),
        &["the younger alone", "deactivated"],
    ),
    (
        "two objects on one client, two processes",
        two_objects(2, 2, 1),
        &["both bound", "the younger alone", "deactivated"],
    ),
];

const fn two_objects(processes: usize, deletes: u8, crashes: u8) -> TwoObjects {
    TwoObjects {
        processes,
        deletes,
        crashes,
        mistake: None,
    }
}

/// Each mistake, the run that finds it, and the promise that it breaks.
pub const MISTAKES: &[(Mistake, usize, &str)] = &[
    (Mistake::ConflictIgnored, 1, NOT_TAKEN),
    (Mistake::ConflictUnchecked, 0, NOT_TAKEN),
    (Mistake::ConflictUnchecked, 1, NOT_TAKEN),
    (Mistake::YoungerContinues, 1, SETTLES),
];

/// The model, and how much may happen.
#[derive(Clone, Debug)]
pub struct TwoObjects {
    /// Processes of the operator: one for both objects, or one for each.
    pub processes: usize,
    /// Deletions.
    pub deletes: u8,
    /// Crashes.
    pub crashes: u8,
    /// A mistake, to show that it is found.
    pub mistake: Option<Mistake>,
}

/// One thing that happens. The numbers are the process and the object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The watch shows the process the object as it is.
    Deliver(usize, usize),
    /// A pass begins, from what the watch has shown.
    Begin(usize, usize),
    /// It executes the step that the plan names.
    Take(usize, usize, Step),
    /// It ends with the status write.
    Report(usize, usize),
    /// The object is deleted.
    Delete(usize),
    /// The process crashes. Another starts, and its watch shows it everything.
    Crash(usize),
    /// From now on only the processes do anything.
    Calm,
}

const NOT_TAKEN: &str = "P5 no client is deactivated that another object has";
const SETTLES: &str = "settles";

impl TwoObjects {
    /// Its bounds in words.
    pub fn bounds(&self) -> String {
        let Self {
            processes,
            deletes,
            crashes,
            ..
        } = self;
        format!("objects: 2, processes: {processes}, deletes: {deletes}, crashes: {crashes}")
    }
}

impl Model for TwoObjects {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.processes, self.deletes, self.crashes)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for p in 0..self.processes {
            for o in 0..2 {
                operate::actions(self, world, p, o, actions);
            }
            if world.crashes > 0 && world.processes[p].passes.iter().any(Option::is_some) {
                actions.push(Action::Crash(p));
            }
        }
        for o in 0..2 {
            let there = world.objects[o].is_some_and(|object| !object.deleting);
            if there && world.deletes > 0 {
                actions.push(Action::Delete(o));
            }
        }
        if !world.calm {
            actions.push(Action::Calm);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Delete(o) => next.delete(o),
            Action::Crash(p) => next.crash(p),
            Action::Calm => {
                next.calm = true;
                (next.deletes, next.crashes) = (0, 0);
            }
            action => operate::apply(self, &mut next, &action),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOT_TAKEN, |_, w: &World| !w.taken),
            Property::eventually(SETTLES, |model: &TwoObjects, w: &World| {
                let mut actions = Vec::new();
                model.actions(w, &mut actions);
                w.calm && actions.is_empty() && settled(w)
            }),
            Property::sometimes("both bound", |_, w: &World| {
                w.objects
                    .iter()
                    .all(|object| object.is_some_and(|object| object.bound))
            }),
            Property::sometimes("the younger alone", |_, w: &World| {
                let ready = |object: Object| object.shown == Shown::Ready;
                w.objects[0].is_none() && w.objects[1].is_some_and(ready)
            }),
            Property::sometimes("deactivated", |_, w: &World| !w.active),
        ]
    }
}

/// What a user can expect: one object keeps the client, the other says that it is in use.
fn settled(world: &World) -> bool {
    let keeper = world
        .objects
        .iter()
        .position(|o| o.is_some_and(|object| object.bound));
    world.objects.iter().enumerate().all(|(o, object)| {
        let Some(object) = object else {
            return true;
        };
        let reported = match (keeper, object.shown) {
            (Some(keeper), shown) if keeper != o => shown == Shown::InUse,
            // The next verification shows whether it is inactive by now.
            (_, Shown::Ready) => object.bound,
            (_, shown) => shown == Shown::NotReady && !world.active,
        };
        !object.deleting && reported
    })
}
