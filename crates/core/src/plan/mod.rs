//! What to do next, as pure functions over facts.
//!
//! A reconcile gathers [`Facts`], asks [`next`] for a [`Step`], executes it, and takes in the [`Observation`] with
//! [`Facts::apply`], until there is nothing left to do; [`report`] then says what status becomes. The model checker in
//! `tests/model` runs these very functions through every interleaving.

mod adoption;
mod blocked;
mod diff;
mod disposition;
mod facts;
mod next;
mod observation;
mod report;
mod rotation;
mod rules;
mod schedule;
mod step;
mod take_up;

pub use adoption::{Candidate, ProofRead, adoption_fact};
pub use blocked::{Blocked, Requeue};
pub use diff::{Field, create_request, differing, names, update_request};
pub use disposition::{Disposition, ObjectState, disposition};
pub use facts::{
    AdoptionFact, Attempt, AttemptId, AttemptState, AutoRetry, Binding, Conflict, ConnectionFacts,
    Content, Facts, Found, Owner, RecordedClient, SecretFacts, Vendor,
};
pub use next::next;
pub use observation::{ClientAnswer, Observation, SecretChange};
pub use report::{
    ConditionUpdate, MessageContext, Report, conflict_message, report, unproven_secret,
};
pub use rotation::{
    MAX_CLOCK_SKEW, NOT_APPLIED_AFTER, NoSchedule, Open, Rotation, RotationState, Token, Wait,
    next_rotation, requested_rotation,
};
pub use rules::{
    client, is_held, is_orphaning, may_look_for_adoption, must_finish_adoption_in_place,
    was_verified,
};
pub use schedule::{due_slot, until_next_slot};
pub use step::{Effect, Step};
pub use take_up::{RecordedState, TakeUp, recorded_state, take_up};
