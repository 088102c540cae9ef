//! What to do next, as pure functions over facts. `reconcile` gathers the facts and carries out the step; the model
//! checker in `tests/model` runs these very functions against every interleaving.

mod diff;
mod disposition;
mod facts;
mod next;
mod report;
mod rotation;
mod schedule;
mod step;
mod take_up;

pub use diff::{Field, create_request, differing, names, parse_names, update_request};
pub use disposition::{Disposition, ObjectState, disposition};
pub use facts::{
    AdoptionFact, Attempt, AttemptId, AttemptState, AutoRetry, Binding, Conflict, ConnectionFacts,
    Content, Facts, Found, Owner, RecordedClient, SecretFacts, Vendor,
};
pub use next::{client, is_held, next};
pub use report::{
    Blocked, ConditionUpdate, MessageContext, NOT_APPLIED, Report, Requeue, conflict_message,
    needs_a_person, not_rotated, report,
};
pub use rotation::{
    CLOCKS_WITHIN, NOT_APPLIED_AFTER, NoSchedule, Open, Rotation, RotationState, Token, Wait,
    asked, next_rotation,
};
pub use schedule::{due_slot, until_next_slot};
pub use step::Step;
pub use take_up::{RecordedState, TakeUp, recorded_state, take_up};
