//! What this process remembers of rotations: which it sent, how they were answered, and since when it knows the others.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use provident_core::api::RotationRecord;
use provident_core::plan::{NOT_APPLIED_AFTER, RotationState};

use super::create_attempts::SEND_WITHIN;

/// Open rotations by the object's uid.
#[derive(Default)]
pub struct Rotations(Mutex<HashMap<String, KnownRotation>>);

struct KnownRotation {
    record: RotationRecord,
    since: Instant,
    progress: Progress,
    /// When GET first returned the previous secret, and whether it did so again long after.
    first_unchanged: Option<Instant>,
    abandoned: bool,
}

impl KnownRotation {
    fn new(record: &RotationRecord, progress: Progress) -> Self {
        Self {
            record: record.clone(),
            since: Instant::now(),
            progress,
            first_unchanged: None,
            abandoned: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Recorded by this process, and not sent.
    Unsent,
    /// Sent by this process, and known not to have been carried out.
    Refused,
    /// Accepted by the vendor.
    Accepted,
    /// Sent by this process and unanswered, or recorded by another process.
    Unknown,
}

impl Rotations {
    /// Notes a record that this process has just written.
    pub fn recorded(&self, uid: &str, record: &RotationRecord) {
        let rotation = KnownRotation::new(record, Progress::Unsent);
        self.0.lock().insert(uid.to_owned(), rotation);
    }

    /// Notes that the rotation is about to be sent. From here on only an answer shows what happened.
    pub fn sending(&self, uid: &str) {
        self.set(uid, Progress::Unknown);
    }

    /// Notes that it was not carried out.
    pub fn refused(&self, uid: &str) {
        self.set(uid, Progress::Refused);
    }

    /// Notes that the vendor accepted it.
    pub fn accepted(&self, uid: &str) {
        self.set(uid, Progress::Accepted);
    }

    /// What is known of the record in an object's status; starts remembering one that is new. `wait` lies between two GETs
    /// that prove that a rotation will not be carried out any more.
    pub fn observe(&self, uid: &str, record: &RotationRecord, wait: Duration) -> RotationState {
        let mut all = self.0.lock();
        let progress = if record.accepted {
            Progress::Accepted
        } else {
            Progress::Unknown
        };
        let known = all
            .entry(uid.to_owned())
            .or_insert_with(|| KnownRotation::new(record, progress));
        // A record that was marked as accepted is still the same rotation.
        let is_same =
            (&known.record.token, &known.record.start_time) == (&record.token, &record.start_time);
        if !is_same {
            *known = KnownRotation::new(record, progress);
        } else if record.accepted && known.progress == Progress::Unknown {
            // The process that sent it got an answer, so this one need not wait for the silence to end.
            known.progress = Progress::Accepted;
        }
        match known.progress {
            Progress::Unsent => RotationState::Unsent {
                in_time: known.since.elapsed() < SEND_WITHIN,
            },
            Progress::Refused => RotationState::Refused,
            // An earlier reconcile, or an earlier process, reported it.
            Progress::Accepted if record.not_applied => RotationState::NotApplied,
            Progress::Accepted if known.since.elapsed() > wait * NOT_APPLIED_AFTER => {
                RotationState::NotApplied
            }
            Progress::Accepted => RotationState::Accepted,
            Progress::Unknown if known.abandoned => RotationState::Abandoned,
            Progress::Unknown => RotationState::InProgress,
        }
    }

    /// Notes that GET still returns the previous secret.
    pub fn secret_unchanged(&self, uid: &str, wait: Duration) {
        if let Some(known) = self.0.lock().get_mut(uid) {
            let first = *known.first_unchanged.get_or_insert_with(Instant::now);
            known.abandoned |= first.elapsed() >= wait;
        }
    }

    /// How long until a GET can show that an unanswered rotation will not be carried out any more.
    pub fn until_abandoned(&self, uid: &str, wait: Duration) -> Duration {
        let all = self.0.lock();
        let first = all.get(uid).and_then(|known| known.first_unchanged);
        first.map_or(wait, |first| wait.saturating_sub(first.elapsed()))
    }

    /// Whether an object has an open rotation that this process knows of. Its view must then be a fresh one.
    pub fn concerns(&self, uid: &str) -> bool {
        self.0.lock().contains_key(uid)
    }

    /// Forgets an object's rotation: it is done, or the object is gone.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    fn set(&self, uid: &str, progress: Progress) {
        if let Some(known) = self.0.lock().get_mut(uid) {
            known.progress = progress;
        }
    }
}
