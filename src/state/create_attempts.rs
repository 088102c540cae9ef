//! Create attempts: which this process started, which it sent, and which clients it has not stored yet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use provident_core::api::{ConnectionRef, OAuthClient};
use provident_core::plan::{AttemptId, AttemptState};
use provident_core::vendor::outcome::{Ambiguity, Refusal};
use provident_core::vendor::types::ClientId;

/// A create or a rotation may be sent this long after its record. With the time to connect
/// ([`crate::vendor::http::CONNECT_WITHIN`]), its first byte leaves within 5 s.
pub const SEND_WITHIN: Duration = Duration::from_secs(2);
/// A claim that may not have been written is remembered this long as one that was never sent.
const FORGET_UNSENT: Duration = Duration::from_mins(10);

/// Create attempts of this process, and attempts of others that it has seen.
#[derive(Default)]
pub struct CreateAttempts(Mutex<Attempts>);

#[derive(Default)]
struct Attempts {
    own: HashMap<AttemptId, OwnAttempt>,
    /// By the object's uid.
    foreign: HashMap<String, ForeignAttempt>,
}

struct ForeignAttempt {
    id: AttemptId,
    first_seen: Instant,
}

struct OwnAttempt {
    object: ObjectRef<OAuthClient>,
    target: Target,
    started: Instant,
    start_time: Timestamp,
    retry_of: Option<AttemptId>,
    progress: Progress,
}

#[derive(Clone)]
enum Progress {
    Unsent,
    Sent,
    NotCreated(Refusal),
    Created(ClientId),
    Unknown(Ambiguity),
}

/// What an attempt was for.
#[derive(Clone)]
pub struct Target {
    /// The object's uid.
    pub uid: String,
    /// Its Secret's name.
    pub secret: String,
    /// Its connection.
    pub connection: ConnectionRef,
}

/// A client that the vendor created and that status does not record yet.
#[derive(Clone)]
pub struct UnstoredClient {
    /// The attempt that created it.
    pub attempt: AttemptId,
    /// The object that the attempt was for.
    pub object: ObjectRef<OAuthClient>,
    /// What the attempt was for.
    pub target: Target,
    /// The client.
    pub client_id: ClientId,
}

/// An attempt of this process that status must name, whatever became of status.
pub struct Remembered {
    /// Its id.
    pub id: AttemptId,
    /// The held attempt that it retries.
    pub retry_of: Option<AttemptId>,
    /// When it was claimed.
    pub start_time: Timestamp,
}

impl CreateAttempts {
    /// Notes an attempt before its claim is written.
    pub fn claim(
        &self,
        attempt: &AttemptId,
        object: ObjectRef<OAuthClient>,
        target: Target,
        start_time: Timestamp,
        retry_of: Option<AttemptId>,
    ) {
        let mut attempts = self.0.lock();
        attempts.own.retain(|_, own| {
            !matches!(own.progress, Progress::Unsent) || own.started.elapsed() < FORGET_UNSENT
        });
        let claim = OwnAttempt {
            object,
            target,
            started: Instant::now(),
            start_time,
            retry_of,
            progress: Progress::Unsent,
        };
        attempts.own.insert(attempt.clone(), claim);
    }

    /// Notes that the create is about to be sent. From here on only an answer shows what happened.
    pub fn sending(&self, attempt: &AttemptId) {
        self.set(attempt, Progress::Sent);
    }

    /// Notes that nothing was created.
    pub fn not_created(&self, attempt: &AttemptId, refusal: Refusal) {
        self.set(attempt, Progress::NotCreated(refusal));
    }

    /// Notes that the outcome is unknown.
    pub fn unknown(&self, attempt: &AttemptId, ambiguity: Ambiguity) {
        self.set(attempt, Progress::Unknown(ambiguity));
    }

    /// Notes the client that was created.
    pub fn created(&self, attempt: &AttemptId, client_id: ClientId) {
        self.set(attempt, Progress::Created(client_id));
    }

    /// Forgets one attempt: stored, dropped from status, or resolved otherwise.
    pub fn forget(&self, attempt: &AttemptId) {
        self.0.lock().own.remove(attempt);
    }

    /// Forgets all attempts for an object, except clients that are not stored yet.
    pub fn forget_object(&self, uid: &str) {
        let mut attempts = self.0.lock();
        attempts
            .own
            .retain(|_, own| own.target.uid != uid || matches!(own.progress, Progress::Created(_)));
        attempts.foreign.remove(uid);
    }

    /// Time since this process claimed an attempt of its own.
    pub fn age(&self, attempt: &AttemptId) -> Option<Duration> {
        let attempts = self.0.lock();
        attempts.own.get(attempt).map(|own| own.started.elapsed())
    }

    /// Whether this process started an attempt for the object. Its view must then be a fresh one.
    pub fn concerns(&self, object: &ObjectRef<OAuthClient>) -> bool {
        let attempts = self.0.lock();
        attempts.own.values().any(|own| own.object == *object)
    }

    /// The attempt of this process that was sent for an object and did not end with a known refusal. Status must name it, or
    /// its client, even if somebody emptied status.
    pub fn sent_for(&self, uid: &str) -> Option<Remembered> {
        let attempts = self.0.lock();
        let open = attempts.own.iter().filter(|(_, own)| {
            own.target.uid == uid
                && match own.progress {
                    Progress::Sent | Progress::Created(_) | Progress::Unknown(_) => true,
                    Progress::Unsent | Progress::NotCreated(_) => false,
                }
        });
        // The newest: an older one is held, and this one retried it.
        let (id, own) = open.max_by_key(|(_, own)| own.started)?;
        Some(Remembered {
            id: id.clone(),
            retry_of: own.retry_of.clone(),
            start_time: own.start_time,
        })
    }

    /// Clients that are not stored yet and were created under this name, for an earlier object too.
    pub fn unstored_for(&self, object: &ObjectRef<OAuthClient>) -> Vec<UnstoredClient> {
        let mut unstored = self.unstored();
        unstored.retain(|client| client.object == *object);
        unstored
    }

    /// All clients that are not stored yet.
    pub fn unstored(&self) -> Vec<UnstoredClient> {
        let attempts = self.0.lock();
        attempts
            .own
            .iter()
            .filter_map(|(attempt, own)| match &own.progress {
                Progress::Created(client_id) => Some(UnstoredClient {
                    attempt: attempt.clone(),
                    object: own.object.clone(),
                    target: own.target.clone(),
                    client_id: client_id.clone(),
                }),
                Progress::Unsent
                | Progress::Sent
                | Progress::NotCreated(_)
                | Progress::Unknown(_) => None,
            })
            .collect()
    }

    /// What is known of the attempt in an object's status. Another process's attempt is abandoned when this process has seen
    /// it unchanged for `wait` on its own monotonic clock.
    pub fn state(&self, attempt: &AttemptId, uid: &str, wait: Duration) -> AttemptState {
        if let Some(own) = self.0.lock().own.get(attempt) {
            return match &own.progress {
                Progress::Unsent => AttemptState::Unsent {
                    in_time: own.started.elapsed() < SEND_WITHIN,
                },
                Progress::Sent => AttemptState::Unknown(Ambiguity::NoAnswer),
                Progress::NotCreated(refusal) => AttemptState::NotCreated(*refusal),
                Progress::Created(client) => AttemptState::Created(client.clone()),
                Progress::Unknown(ambiguity) => AttemptState::Unknown(*ambiguity),
            };
        }
        if self.watch_foreign(attempt, uid, wait).is_zero() {
            AttemptState::Abandoned
        } else {
            AttemptState::InProgress
        }
    }

    /// How long another process's attempt still counts as possibly running. Starts watching it if it is new.
    pub fn watch_foreign(&self, attempt: &AttemptId, uid: &str, wait: Duration) -> Duration {
        let mut attempts = self.0.lock();
        let new = || ForeignAttempt {
            id: attempt.clone(),
            first_seen: Instant::now(),
        };
        let seen = attempts
            .foreign
            .entry(uid.to_owned())
            .and_modify(|seen| {
                if seen.id != *attempt {
                    *seen = new();
                }
            })
            .or_insert_with(new);
        wait.saturating_sub(seen.first_seen.elapsed())
    }

    fn set(&self, attempt: &AttemptId, progress: Progress) {
        if let Some(own) = self.0.lock().own.get_mut(attempt) {
            own.progress = progress;
        }
    }
}
