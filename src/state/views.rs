//! How far the watch may lag behind our own writes, so that no reconcile decides on a view that is known to be stale.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most writes to an object in one reconcile: a view may lag behind all of them.
const OWN_WRITES: usize = 4;

/// What is known of the watch's view of each object, by uid.
#[derive(Default)]
pub struct Views(Mutex<HashMap<String, View>>);

#[derive(Default)]
struct View {
    /// The view was found stale.
    stale: bool,
    /// Versions that our own writes replaced, as hashes.
    replaced: Option<([u64; OWN_WRITES], Instant)>,
    /// The operator removed its finalizer.
    released: bool,
}

impl View {
    fn is_empty(&self) -> bool {
        !self.stale && self.replaced.is_none() && !self.released
    }
}

impl Views {
    /// Notes that the view of an object was found stale.
    pub fn mark_stale(&self, uid: &str) {
        self.0.lock().entry(uid.to_owned()).or_default().stale = true;
    }

    /// Whether the next reconcile must read the object itself; the mark is cleared.
    pub fn take_stale(&self, uid: &str) -> bool {
        let mut views = self.0.lock();
        let Some(view) = views.get_mut(uid) else {
            return false;
        };
        let stale = std::mem::take(&mut view.stale);
        if view.is_empty() {
            views.remove(uid);
        }
        stale
    }

    /// Notes the version of an object that a write of our own replaced.
    pub fn replaced(&self, uid: &str, version: &str) {
        let mut views = self.0.lock();
        let view = views.entry(uid.to_owned()).or_default();
        let (mut versions, _) = view
            .replaced
            .unwrap_or_else(|| ([0; OWN_WRITES], Instant::now()));
        versions.rotate_right(1);
        versions[0] = hash(version);
        view.replaced = Some((versions, Instant::now()));
    }

    /// If a view of this version is older than what this process wrote last: how long ago that was. If it is not, the
    /// writes are forgotten, since a watch does not go back.
    pub fn take_lag(&self, uid: &str, version: &str) -> Option<Duration> {
        let mut views = self.0.lock();
        let view = views.get_mut(uid)?;
        let (versions, at) = view.replaced?;
        if versions.contains(&hash(version)) {
            return Some(at.elapsed());
        }
        view.replaced = None;
        if view.is_empty() {
            views.remove(uid);
        }
        None
    }

    /// Notes that the operator removes its finalizer. Called before the write, since the watch may report the deletion first.
    pub fn release(&self, uid: &str) {
        self.0.lock().entry(uid.to_owned()).or_default().released = true;
    }

    /// Whether the operator itself released the object.
    pub fn is_released(&self, uid: &str) -> bool {
        self.0.lock().get(uid).is_some_and(|view| view.released)
    }

    /// Forgets an object.
    pub fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

// A number is small, and two versions that share one cost at most a read.
fn hash(version: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    version.hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_lags_until_the_watch_shows_a_version_that_we_did_not_replace() {
        let views = Views::default();
        assert_eq!(views.take_lag("u", "1"), None);
        views.replaced("u", "1");
        views.replaced("u", "2");
        assert!(views.take_lag("u", "1").is_some() && views.take_lag("u", "2").is_some());
        assert_eq!(views.take_lag("u", "3"), None);
        assert!(views.0.lock().is_empty(), "nothing is kept of it");
        views.mark_stale("u");
        assert!(views.take_stale("u") && !views.take_stale("u"));
        assert!(views.0.lock().is_empty());
    }
}
