//! The model: the program's own decisions (`plan::next`, `records`, `fate`, `take_up`, `report` and
//! `outcome::classify`) in a world that does to them whatever a real one may.
//!
//! - `world`, `start`: the API server with one object name and its Secret, and the vendor.
//! - `process`: what a process of the operator remembers, and the facts it hands to the plan.
//! - `operate`, `steps`, `requests`, `report`: what a process does, one request or reply at a time: the loop around
//!   the plan, its steps, their writes, and the status at the end.
//! - `rotation`, `adoption`: their facts and steps, and how late the vendor may be.
//! - `environment`, `budget`: what everybody else does, and how often. `names`: numbers as the program has them.
//! - `properties`: the promises.
//! - `runs`: the bounds. `mistakes`: what the checker must find.
//!
//! Between any two actions of a process everything else may happen, a crash of it among them. These things are one
//! action all the same:
//! - A vendor's commit and its reply. Nothing is missed by it, as nobody can see a client in between. One whose reply
//!   nobody reads is known to nobody, so it is counted in `Tally::sent` and not stored.
//! - The reread right before a repair of the Secret, a PUT or a deactivation, and that request. This is a limit of the
//!   model and of the program: the window is one request long.
//!
//! The shell around the plan keeps these rules, without which the checker finds a broken promise; each broken one is
//! a `Mistake`:
//! - Only the pass that asked may write the Secret of an answer before status, and only while no other process can take
//!   the attempt for over. A later pass tells the plan that the vendor was not asked, so that status goes first.
//! - Before it deactivates a client for a deletion, it reads the object again.
//! - Before every try to deactivate the client of a late answer, it asks again whether somebody keeps it.
//! - Whether a foreign attempt is over is settled before the Secret is read.
//!
//! The breaker never forbids a create here, so the model allows more than the program. The vendor's 404 is believed, as
//! the connection is taken to be proven.
//!
//! Time passes as the action `Watch`: a process has facts a foreign attempt unchanged for two minutes, which is longer
//! than any create and the write of its Secret can be on their way.

mod adoption;
mod budget;
mod environment;
pub mod mistakes;
mod names;
mod operate;
mod process;
mod properties;
mod report;
mod requests;
mod rotation;
pub mod runs;
mod start;
mod steps;
mod world;

use provident_core::plan::Step;
use provident_core::vendor::outcome::{Made, Reply};
use provident_core::vendor::types::ClientId;
use stateright::{Model, Property};

pub use budget::Budget;
use mistakes::Mistake;
use rotation::Reply as Rotated;
pub use start::Start;
use world::AttemptNo;
pub use world::{Proof, World};

/// A model: how many processes, what may happen to them and how often, and which mistake they make.
#[derive(Clone, Debug)]
pub struct System {
    /// Processes of the operator.
    pub processes: usize,
    /// How often each thing may happen.
    pub budget: Budget,
    /// The replies to a create, besides the one that is hoped for.
    pub replies: &'static [Row],
    /// The edits that the tenant makes.
    pub edits: &'static [Edit],
    /// What there is at the beginning.
    pub start: Start,
    /// The connection lets the namespace take over clients.
    pub may_adopt: bool,
    /// `unknownOutcomePolicy: Retry` of the connection.
    pub retries_itself: bool,
    /// A mistake, to see that it is found.
    pub mistake: Option<Mistake>,
}

/// One thing that happens. The number is the process.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A pass begins.
    Begin(usize, From),
    /// It reads the Secret, and decides what becomes of an answer it still has.
    Read(usize),
    /// It carries out the step that the plan names.
    Take(usize, Step, Luck),
    /// The vendor's reply to its create arrives.
    Answer(usize, Row),
    /// The vendor's reply to its rotation arrives.
    Reply(usize, Rotated),
    /// Too much time passes between its claim and its create, its claim and its Secret, or its record and its rotation.
    Dawdle(usize),
    /// The pass ends with the status write, if there is something to write.
    Report(usize, Luck),
    /// It decides what becomes of an answer whose object is gone.
    Decide(usize, AttemptNo),
    /// It deactivates the client of a late answer.
    Disable(usize, AttemptNo, Luck),
    /// It has facts another's attempt unchanged for two minutes.
    Watch(usize),
    /// ConditionUpdate to leave, and with nothing left to store, it leaves. Another starts.
    Leave(usize),
    /// It dies. Another starts.
    Crash(usize),
    /// It is told to leave.
    Term(usize),
    /// The garbage collector removes the Secret, whose owner is gone.
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
    /// A person sets `retry-create` on a held object.
    Retry,
    /// The tenant writes a foreign clientId into status.
    ForgeStatus,
    /// The tenant makes a Secret that names a foreign client; owned by the object or not.
    ForgeSecret(bool),
    /// The tenant deletes the Secret.
    DeleteSecret,
    /// Somebody else makes a Secret of that name.
    Stranger,
    /// The connection is suspended, or resumed.
    Suspend,
    /// A person removes the object's client at the vendor.
    Remove,
    /// The tenant sets the annotation `rotate` to a new value.
    Ask,
    /// The schedule asks for a rotation.
    Due,
    /// The vendor carries out a rotation that waits there, and GET may answer the former secret for a while.
    CarryOut(usize, bool),
    /// It never will.
    Lapse(usize),
    /// From now on GET answers the newest secret.
    CatchUp,
    /// A minute has passed since GET answered this process the former secret.
    Minute(usize),
    /// Ten minutes have passed since it heard that the vendor said yes.
    LongAgo(usize),
    /// Its scheduled verification is due.
    FallDue(usize),
    /// A person rotates the client's secret at the vendor.
    RotateByHand,
    /// The binding key is replaced.
    Rekey,
    /// The definition of our kind is deleted, and with it the object.
    Uninstall,
    /// From now on nothing goes wrong and nobody interferes.
    Calm,
}

/// Where a pass has its view from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The stored version.
    Server,
    /// An older one.
    Cache,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    /// It is carried out as it should be.
    Good,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It never arrives.
    RequestLost,
    /// Quota or admission refuses it.
    Refused,
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

/// A row of the table of replies to a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The connection was never made.
    NeverConnected,
    /// No status line: made or not.
    NoAnswer,
    /// This status without a client. A 5xx may come from a gateway after the vendor made it, a 2xx be unreadable.
    Status(u16),
    /// 201 with the new client and its secret.
    Created,
    /// 201 with the new client, its secret missing.
    WithoutSecret,
    /// 200 with a client that another object records.
    Existing,
}

impl Row {
    /// Every row, but the one that is hoped for.
    pub const EVERY: &'static [Self] = &[
        Self::NeverConnected,
        Self::NoAnswer,
        Self::Status(201),
        Self::Status(303),
        Self::Status(307),
        Self::Status(400),
        Self::Status(401),
        Self::Status(408),
        Self::Status(429),
        Self::Status(503),
        Self::WithoutSecret,
        Self::Existing,
    ];
    /// One of each kind: known not created, unknown, and without a secret.
    pub const KINDS: &'static [Self] = &[Self::Status(429), Self::Status(503), Self::WithoutSecret];

    /// Whether it proves that nothing was made (RFC 9110: what the status says of the request).
    fn proves_nothing_was_made(self) -> bool {
        matches!(
            self,
            Self::NeverConnected | Self::Status(307 | 400 | 401 | 429)
        )
    }

    /// What the process reads.
    fn reply(self, made: ClientId, foreign: ClientId) -> Reply {
        let (status, client) = match self {
            Self::NeverConnected => return Reply::NeverConnected,
            Self::NoAnswer => return Reply::NoAnswer,
            Self::Status(status) => (status, None),
            Self::Created | Self::WithoutSecret => (201, Some(made)),
            Self::Existing => (200, Some(foreign)),
        };
        let client = client.map(|client_id| Made {
            client_id,
            created_at: None,
            answered_at: None,
        });
        Reply::Answer { status, client }
    }
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
