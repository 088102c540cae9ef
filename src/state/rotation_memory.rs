//! What this process remembers of rotations: which it sent, what was said to them, and since when it knows the others.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::state::create_attempts::{SEND_WITHIN, lock};
use provident_core::api::RotationRecord;
use provident_core::plan::{NOT_APPLIED_AFTER, RotationState};

/// Open rotations by the object's uid.
#[derive(Default)]
pub struct Rotations(Mutex<HashMap<String, Known>>);

struct Known {
    record: RotationRecord,
    since: Instant,
    state: State,
    /// When GET first answered the former secret, and whether it did so again long after.
    unmoved: Option<Instant>,
    over: bool,
}

impl Known {
    fn new(record: &RotationRecord, state: State) -> Self {
        Self {
            record: record.clone(),
            since: Instant::now(),
            state,
            unmoved: None,
            over: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Ours, and not sent yet.
    Unsent,
    /// Ours and known not to have been carried out.
    Refused,
    /// The vendor said yes.
    Accepted,
    /// Ours and unanswered, or somebody else's.
    Unknown,
}

impl Rotations {
    /// Notes a record that this process has just written.
    pub fn recorded(&self, uid: &str, record: &RotationRecord) {
        lock(&self.0).insert(uid.to_owned(), Known::new(record, State::Unsent));
    }

    /// Notes that the rotation is about to be sent. From here on only an answer tells what happened.
    pub fn sending(&self, uid: &str) {
        self.learn(uid, State::Unknown);
    }

    /// Notes that it was not carried out.
    pub fn refused(&self, uid: &str) {
        self.learn(uid, State::Refused);
    }

    /// Notes that the vendor said that it was.
    pub fn accepted(&self, uid: &str) {
        self.learn(uid, State::Accepted);
    }

    /// What is known of the record in an object's status. `wait` lies between two GETs that prove that a rotation will
    /// not be carried out any more.
    pub fn known(&self, uid: &str, record: &RotationRecord, wait: Duration) -> RotationState {
        let mut all = lock(&self.0);
        let state = if record.accepted {
            State::Accepted
        } else {
            State::Unknown
        };
        let known = all
            .entry(uid.to_owned())
            .or_insert_with(|| Known::new(record, state));
        // Marked as accepted it is still the same rotation.
        let is_same =
            (&known.record.token, &known.record.start_time) == (&record.token, &record.start_time);
        if !is_same {
            *known = Known::new(record, state);
        } else if record.accepted && known.state == State::Unknown {
            // Whoever sent it was answered; this process need not wait for the silence to end.
            known.state = State::Accepted;
        }
        match known.state {
            State::Unsent => RotationState::Unsent {
                in_time: known.since.elapsed() < SEND_WITHIN,
            },
            State::Refused => RotationState::Refused,
            State::Accepted if known.since.elapsed() > wait * NOT_APPLIED_AFTER => {
                RotationState::NotApplied
            }
            State::Accepted => RotationState::Accepted,
            State::Unknown if known.over => RotationState::Abandoned,
            State::Unknown => RotationState::InProgress,
        }
    }

    /// Notes that GET answers the former secret still.
    pub fn unmoved(&self, uid: &str, wait: Duration) {
        if let Some(known) = lock(&self.0).get_mut(uid) {
            let first = *known.unmoved.get_or_insert_with(Instant::now);
            known.over |= first.elapsed() >= wait;
        }
    }

    /// How long until a GET can show that an unanswered rotation will not be carried out any more.
    pub fn left(&self, uid: &str, wait: Duration) -> Duration {
        let first = lock(&self.0).get(uid).and_then(|known| known.unmoved);
        first.map_or(wait, |first| wait.saturating_sub(first.elapsed()))
    }

    /// Whether an object has an open rotation that this process knows of: then its view must be a fresh one.
    pub fn concerns(&self, uid: &str) -> bool {
        lock(&self.0).contains_key(uid)
    }

    /// Drops what is known of an object's rotation: it is done, or gone.
    pub fn forget(&self, uid: &str) {
        lock(&self.0).remove(uid);
    }

    fn learn(&self, uid: &str, state: State) {
        if let Some(known) = lock(&self.0).get_mut(uid) {
            known.state = state;
        }
    }
}
