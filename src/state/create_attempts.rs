//! What this process remembers of attempts: which it began, which it sent, what was answered and is not stored yet.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use provident_core::api::{ConnectionRef, OAuthClient};
use provident_core::plan::{AttemptId, AttemptState};
use provident_core::vendor::outcome::{Ambiguity, Refusal};
use provident_core::vendor::types::ClientId;

/// The first byte of a create or a rotation leaves within 5 s of its record: it may begin this long after it, and connects
/// within [`crate::vendor::client::CONNECT_WITHIN`].
pub(super) const SEND_WITHIN: Duration = Duration::from_secs(2);
/// A claim of which it is not known whether it was written is remembered this long as one that was never sent.
const FORGET_UNSENT: Duration = Duration::from_mins(10);

/// The most writes to an object in one pass: a view may lag behind all of them.
const OWN_WRITES: usize = 4;

/// Shared by all passes of one process.
#[derive(Default)]
pub struct Memory {
    own: Mutex<HashMap<AttemptId, Own>>,
    foreign: Mutex<HashMap<String, (AttemptId, Instant)>>,
    doubted: Mutex<HashSet<String>>,
    replaced: Mutex<HashMap<String, Replaced>>,
    released: Mutex<HashSet<String>>,
}

/// What writes of our own have replaced of an object.
struct Replaced {
    versions: [u64; OWN_WRITES],
    at: Instant,
}

struct Own {
    object: ObjectRef<OAuthClient>,
    target: Target,
    since: Instant,
    state: State,
}

#[derive(Clone)]
enum State {
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

/// An answer that this process has read and not stored yet.
#[derive(Clone)]
pub struct Answer {
    /// The attempt it answers.
    pub attempt: AttemptId,
    /// The object the attempt was for.
    pub object: ObjectRef<OAuthClient>,
    /// What the attempt was for.
    pub target: Target,
    /// The client.
    pub client_id: ClientId,
}

impl Memory {
    /// Notes an attempt before its claim is written.
    pub fn claim(&self, attempt: &AttemptId, object: ObjectRef<OAuthClient>, target: Target) {
        let mut own = lock(&self.own);
        own.retain(|_, own| {
            !matches!(own.state, State::Unsent) || own.since.elapsed() < FORGET_UNSENT
        });
        let claim = Own {
            object,
            target,
            since: Instant::now(),
            state: State::Unsent,
        };
        own.insert(attempt.clone(), claim);
    }

    /// Notes that the create is about to be sent. From here on only an answer tells what happened.
    pub fn sending(&self, attempt: &AttemptId) {
        self.set(attempt, State::Sent);
    }

    /// Notes that nothing was made.
    pub fn not_created(&self, attempt: &AttemptId, refusal: Refusal) {
        self.set(attempt, State::NotCreated(refusal));
    }

    /// Notes that the outcome is not known.
    pub fn unknown(&self, attempt: &AttemptId, doubt: Ambiguity) {
        self.set(attempt, State::Unknown(doubt));
    }

    /// Notes the answer.
    pub fn created(&self, attempt: &AttemptId, client_id: ClientId) {
        self.set(attempt, State::Created(client_id));
    }

    /// Drops one attempt: stored, dropped from status, or dealt with as late.
    pub fn forget(&self, attempt: &AttemptId) {
        lock(&self.own).remove(attempt);
    }

    /// Drops all that is known of an object, but answers that are not stored yet.
    pub fn forget_object(&self, uid: &str) {
        lock(&self.own)
            .retain(|_, own| own.target.uid != uid || matches!(own.state, State::Created(..)));
        lock(&self.foreign).remove(uid);
        lock(&self.doubted).remove(uid);
        lock(&self.replaced).remove(uid);
    }

    /// Notes that the operator lets an object go.
    pub fn release(&self, uid: &str) {
        lock(&self.released).insert(uid.to_owned());
    }

    /// Drops what is noted of an object that is gone, its attempts aside; says whether the operator let it go.
    pub fn gone(&self, uid: &str) -> bool {
        lock(&self.doubted).remove(uid);
        lock(&self.replaced).remove(uid);
        lock(&self.released).remove(uid)
    }

    /// Notes the version of an object that a write of our own has replaced.
    pub fn replaced(&self, uid: &str, version: &str) {
        let mut replaced = lock(&self.replaced);
        let own = replaced.entry(uid.to_owned()).or_insert(Replaced {
            versions: [0; OWN_WRITES],
            at: Instant::now(),
        });
        own.versions.rotate_right(1);
        own.versions[0] = hash(version);
        own.at = Instant::now();
    }

    /// If a view of this version is older than what this process wrote last: how long ago that was. If not, the writes are
    /// forgotten.
    pub fn replaced_since(&self, uid: &str, version: &str) -> Option<Duration> {
        let mut replaced = lock(&self.replaced);
        let own = replaced.get(uid)?;
        if own.versions.contains(&hash(version)) {
            return Some(own.at.elapsed());
        }
        // A watch does not go back.
        replaced.remove(uid);
        None
    }

    /// Notes that the watch's view of an object was found stale.
    pub fn doubt(&self, uid: &str) {
        lock(&self.doubted).insert(uid.to_owned());
    }

    /// Whether the next pass must read the object itself; told once.
    pub fn take_doubt(&self, uid: &str) -> bool {
        lock(&self.doubted).remove(uid)
    }

    /// Time since this process claimed an attempt of its own.
    pub fn age(&self, attempt: &AttemptId) -> Option<Duration> {
        lock(&self.own).get(attempt).map(|own| own.since.elapsed())
    }

    /// Whether this process has begun an attempt for the object: then its view must be a fresh one.
    pub fn concerns(&self, object: &ObjectRef<OAuthClient>) -> bool {
        lock(&self.own).values().any(|own| own.object == *object)
    }

    /// Answers not stored yet that were asked for under this name, an earlier object's among them.
    pub fn answers_for(&self, object: &ObjectRef<OAuthClient>) -> Vec<Answer> {
        self.answers()
            .into_iter()
            .filter(|answer| answer.object == *object)
            .collect()
    }

    /// All answers not stored yet.
    pub fn answers(&self) -> Vec<Answer> {
        let own = lock(&self.own);
        own.iter()
            .filter_map(|(attempt, own)| match &own.state {
                State::Created(client_id) => Some(Answer {
                    attempt: attempt.clone(),
                    object: own.object.clone(),
                    target: own.target.clone(),
                    client_id: client_id.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    /// What is known of the attempt in an object's status. An attempt of somebody else is over when this process has
    /// seen it unchanged for `wait` on its own monotonic clock.
    pub fn known(&self, attempt: &AttemptId, uid: &str, wait: Duration) -> AttemptState {
        if let Some(own) = lock(&self.own).get(attempt) {
            return match &own.state {
                State::Unsent => AttemptState::Unsent {
                    in_time: own.since.elapsed() < SEND_WITHIN,
                },
                State::Sent => AttemptState::Unknown(Ambiguity::NoAnswer),
                State::NotCreated(refusal) => AttemptState::NotCreated(*refusal),
                State::Created(client) => AttemptState::Created(client.clone()),
                State::Unknown(doubt) => AttemptState::Unknown(*doubt),
            };
        }
        if self.left(attempt, uid, wait).is_zero() {
            AttemptState::Abandoned
        } else {
            AttemptState::InProgress
        }
    }

    /// How long somebody else's attempt still counts as one that may run.
    pub fn left(&self, attempt: &AttemptId, uid: &str, wait: Duration) -> Duration {
        let mut foreign = lock(&self.foreign);
        let seen = foreign
            .entry(uid.to_owned())
            .and_modify(|seen| {
                if seen.0 != *attempt {
                    *seen = (attempt.clone(), Instant::now());
                }
            })
            .or_insert_with(|| (attempt.clone(), Instant::now()));
        wait.saturating_sub(seen.1.elapsed())
    }

    fn set(&self, attempt: &AttemptId, state: State) {
        if let Some(own) = lock(&self.own).get_mut(attempt) {
            own.state = state;
        }
    }
}

// A number is small, and two versions that share one cost a read at most.
fn hash(version: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    version.hash(&mut hash);
    hash.finish()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
