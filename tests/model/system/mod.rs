//! The model: the program's own functions (`plan::next`, `Facts::apply`, `report`, `recorded_state`, `disposition`,
//! `take_up`, `adoption_fact`, `classify`) in a world that does to them whatever the real one may do.
//!
//! - `world`, `object`, `start`: the API server with one object name and its Secret, and the vendor.
//! - `process`: what a process of the operator remembers, and what a pass holds.
//! - `observe`: the facts at the beginning of a pass. `apply`: how observations change them.
//! - `operate`: what a process may do. `steps`, `create`, `secret`, `rotation`, `adoption`, `requests`: the steps, one
//!   request or reply at a time. `report`: the status at the end. `unstored`: clients that status does not record yet.
//! - `environment`, `budget`: what everybody else does, and how often. `reply`: what the vendor answers to a create.
//!   `names`: numbers of the model and values of the program.
//! - `properties`, `settled`: the promises. `coverage`: which steps a run reaches.
//! - `runs`: the bounds. `mistakes`: what the checker must find.
//!
//! Anything may happen between two actions of a process, a crash included. These are one action all the same:
//! - The vendor's commit and its reply. Nothing is missed, since no one can see a client in between. A create without a reply is
//!   counted in `Tally::sent`; its client is not stored, since no one knows it.
//! - What is read right before a repair of the Secret, a PUT or a deactivation, and that request. This is a limit of the
//!   model and of the program: the window is one request long.
//!
//! The program's shell keeps these rules, without which the checker finds a broken promise; breaking each is a `Mistake`:
//! - Only the pass that created a client may write its Secret before status, and only while no other process can consider
//!   the attempt abandoned. A later pass does not ask the vendor, so that status is written first.
//! - It reads the object again before it deactivates a client.
//! - Each time before it deactivates an orphaned client, it checks whether an object or a Secret has it.
//! - Whether another process's attempt is abandoned is decided before the Secret is read.
//!
//! The breaker never forbids a create here, so the model allows more than the program does. The vendor's 404 is believed, as if
//! the connection's account were always verified.
//!
//! The action `Watch` lets time pass: a process has seen another process's attempt unchanged for two minutes, longer than a
//! create and the write of its Secret can take.

mod adoption;
mod apply;
mod budget;
mod coverage;
mod create;
mod environment;
pub mod mistakes;
mod names;
mod object;
mod observe;
mod operate;
mod process;
mod properties;
mod reply;
mod report;
mod requests;
mod rotation;
pub mod runs;
mod secret;
mod settled;
mod start;
mod steps;
mod unstored;
mod world;

use provident_core::plan::Step;
use stateright::{Model, Property};

pub use budget::Budget;
pub use coverage::Coverage;
use mistakes::Mistake;
pub use object::Proof;
pub use reply::Row;
pub use start::Start;
pub use world::World;
use world::{AttemptNo, ClientNo};

/// A model: how many processes, what may happen to them and how often, and which mistake they make.
#[derive(Clone, Debug)]
pub struct System {
    /// Processes of the operator.
    pub processes: usize,
    /// How often each thing may happen.
    pub budget: Budget,
    /// The replies to a create, besides [`Row::Created`].
    pub replies: &'static [Row],
    /// The edits that the tenant makes.
    pub edits: &'static [Edit],
    /// What there is at the beginning.
    pub start: Start,
    /// The connection allows the namespace to adopt clients.
    pub may_adopt: bool,
    /// `unknownOutcomePolicy: Retry` of the connection.
    pub retries_itself: bool,
    /// The object has workloads that restart when the Secret changes.
    pub restarts: bool,
    /// A mistake, to show that it is found.
    pub mistake: Option<Mistake>,
    /// The steps that the plan names.
    pub coverage: Coverage,
}

/// One thing that happens. The first number is the process.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A pass begins.
    Begin(usize, From),
    /// It decides what becomes of a client that it has not stored yet.
    Resolve(usize),
    /// Likewise, outside a pass, since the object is gone.
    ResolveGone(usize, AttemptNo, ClientNo),
    /// It deactivates an orphaned client.
    DeactivateOrphan(usize, ClientNo, Fault),
    /// It executes the step that the plan names.
    Take(usize, Step, Fault),
    /// The vendor's reply to its create arrives.
    Answer(usize, Row),
    /// The vendor's reply to its rotation arrives.
    Reply(usize, rotation::Reply),
    /// Too much time passes between a claim and its create or its Secret, or between a record and its rotation.
    Delay(usize),
    /// The pass ends with the status write, if there is something to write.
    Report(usize, Fault),
    /// It has seen another process's attempt unchanged for two minutes.
    Watch(usize),
    /// It is shutting down, has nothing left to store, and exits. Another starts.
    Exit(usize),
    /// It crashes. Another starts.
    Crash(usize),
    /// It receives a shutdown signal.
    Term(usize),
    /// The garbage collector deletes the Secret, whose owner is gone.
    Collect,
    /// The tenant edits the spec.
    Edit(Edit),
    /// The tenant, or a tool of theirs, runs `kubectl replace`.
    Replace,
    /// The tenant deletes the object.
    Delete,
    /// The tenant declares it again.
    Recreate,
    /// The tenant restores object and Secret from a backup.
    Restore,
    /// The tenant restores the Secret alone, which holds the client of a former object.
    RestoreSecret,
    /// The tenant empties status through the subresource, while it records an attempt.
    EmptyStatus,
    /// A person sets `retry-create` on a held object.
    Retry,
    /// The tenant writes a foreign clientId into status.
    ForgeStatus,
    /// The tenant creates a Secret that names a foreign client; owned by the object or not.
    ForgeSecret(bool),
    /// The tenant deletes the Secret.
    DeleteSecret,
    /// Another owner creates a Secret of that name.
    Stranger,
    /// The connection is suspended, or resumed.
    Suspend,
    /// A person removes the object's client at the vendor.
    Remove,
    /// The tenant sets the annotation `rotate` to a new value.
    RequestRotation,
    /// The schedule requests a rotation.
    ScheduleRotation,
    /// The vendor carries out a pending rotation, and GET may return the previous secret for a while.
    CarryOut(usize, bool),
    /// It never will.
    Lapse(usize),
    /// From now on GET returns the newest secret.
    CatchUp,
    /// A minute has passed since GET returned this process the previous secret.
    Minute(usize),
    /// Ten minutes have passed since the vendor accepted its rotation.
    LongAgo(usize),
    /// Its scheduled verification is due.
    FallDue(usize),
    /// A person rotates the client's secret at the vendor.
    RotateByHand,
    /// The binding key is replaced.
    Rekey,
    /// The CRD is deleted, and with it the object.
    Uninstall,
    /// From now on nothing goes wrong and no one interferes.
    Calm,
}

/// Where the view of a pass is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The stored version.
    Server,
    /// An older one.
    Cache,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it is carried out.
    None,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    RequestLost,
    /// Quota or admission refuses it.
    Refused,
    /// The vendor accepts it, and changes nothing.
    Ignored,
    /// It is carried out, and the answer lacks fields.
    Partial,
}

/// An edit of the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// `deletionPolicy` to the other value.
    Retain,
    /// `suspend` to the other value.
    Suspend,
    /// `isActive: false`, or back to true.
    Active,
    /// `adoption`
    Adopt(Proof),
}

impl System {
    /// Its bounds in words: what may happen, and how often.
    pub fn bounds(&self) -> String {
        let budget = format!("{:?}", self.budget);
        let inner = budget.trim_start_matches("Budget {").trim_end_matches('}');
        let allowed: Vec<&str> = inner
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.ends_with(": 0"))
            .collect();
        format!("processes: {}, {}", self.processes, allowed.join(", "))
    }
}

impl Model for System {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.processes, self.budget, self.start)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for p in 0..world.processes.len() {
            operate::actions(self, world, p, actions);
        }
        environment::actions(self, world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        if operate::apply(self, &mut next, &action) {
            properties::account(&mut next);
        } else {
            environment::apply(self, &mut next, &action);
            properties::excuse(&mut next);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
