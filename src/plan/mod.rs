//! What to do next, as pure functions over facts. `reconcile` gathers the facts and carries out the step; the model
//! checker in `tests/model` runs these very functions against every interleaving.

mod answer;
mod diff;
mod next;
mod report;
mod rotation;
mod schedule;
mod seen;
mod step;
mod take_up;

pub use answer::{Fate, Standing, fate};
pub use diff::{Field, create_request, differing, names, parse_names, update_request};
pub use next::{client, is_held, next};
pub use report::{
    NOT_APPLIED, Report, Retry, Stop, Texts, Told, conflict_message, needs_a_person, not_rotated,
    report,
};
pub use rotation::{
    CLOCKS_WITHIN, NOT_APPLIED_AFTER, NoSchedule, Open, Rotation, Sent, Token, Wait, asked,
    next_rotation,
};
pub use schedule::{due_slot, until_next_slot};
pub use seen::{
    Adoption, Attempt, AttemptId, AutoRetry, Binding, Connection, Content, Found, Known, Owner,
    Record, Rival, SecretSeen, Seen, Vendor,
};
pub use step::Step;
pub use take_up::{Records, TakeUp, records, take_up};
