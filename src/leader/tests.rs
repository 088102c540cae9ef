#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use proptest::prelude::*;

use super::candidate::{
    CONFLICT_WAIT, Candidate, LEASE, RENEW_EVERY, RETRY_EVERY, Step, TERM, TRY_WITHIN,
};

const PAUSE: Duration = Duration::from_secs(1);

/// The API server's part: one lease, and the version that a write must name.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u32,
}

impl Server {
    fn write(&mut self, lease: &Lease) -> Option<Lease> {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if lease.metadata.resource_version != self.lease.as_ref().and_then(version) {
            return None;
        }
        self.version += 1;
        let mut stored = lease.clone();
        stored.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(stored.clone());
        Some(stored)
    }

    fn spec(&self) -> LeaseSpec {
        self.lease.clone().unwrap().spec.unwrap()
    }
}

fn holds(candidate: &Candidate, now: Instant) -> bool {
    candidate.until().is_some_and(|until| now < until)
}

/// Works until there is nothing to do; every request is answered at once.
fn work(candidate: &mut Candidate, server: &mut Server, now: Instant) -> Step {
    loop {
        match candidate.next(now, Timestamp::UNIX_EPOCH) {
            Step::Look => candidate.looked(server.lease.clone(), now, PAUSE),
            Step::Write(lease) => match server.write(&lease) {
                Some(stored) => candidate.wrote(stored, now),
                None => candidate.refused(now),
            },
            done => return done,
        }
    }
}

fn two(now: Instant) -> (Candidate, Candidate, Server) {
    let [one, two] = ["one", "two"].map(|who| Candidate::new("lease", who.to_owned(), now));
    (one, two, Server::default())
}

#[test]
fn the_first_takes_it_and_renews_it_every_five_seconds() {
    let start = Instant::now();
    let (mut one, _, mut server) = two(start);
    assert_eq!(
        work(&mut one, &mut server, start),
        Step::Wait(Duration::from_secs(5))
    );
    assert!(holds(&one, start));
    let before = server.version;
    work(&mut one, &mut server, start + Duration::from_secs(5));
    assert_eq!(server.version, before + 1);
    assert!(holds(&one, start + Duration::from_secs(14)));
    assert!(!holds(&one, start + Duration::from_secs(15)));
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("one"));
    assert_eq!(spec.lease_duration_seconds, Some(15));
    assert_eq!(spec.lease_transitions, Some(0));
}

#[test]
fn another_takes_it_when_it_has_not_changed_for_fifteen_seconds_and_not_before() {
    let start = Instant::now();
    let (mut one, mut two, mut server) = two(start);
    work(&mut one, &mut server, start);
    let (mut now, seen) = (start + PAUSE, start + PAUSE);
    while !holds(&two, now) {
        match work(&mut two, &mut server, now) {
            Step::Wait(wait) => {
                now += if holds(&two, now) {
                    Duration::ZERO
                } else {
                    wait
                }
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(now - seen, LEASE, "it looks at the very end of the wait");
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("two"));
    assert_eq!(spec.lease_transitions, Some(1));
    // The first one wakes: its term is long over.
    assert_eq!(one.next(now, Timestamp::UNIX_EPOCH), Step::Lost);
}

#[test]
fn one_that_is_given_back_is_taken_at_the_next_look() {
    let start = Instant::now();
    let (mut one, mut two, mut server) = two(start);
    work(&mut one, &mut server, start);
    work(&mut two, &mut server, start);
    let lease = server.lease.clone().unwrap();
    assert_eq!(
        two.released(&lease, Timestamp::UNIX_EPOCH),
        None,
        "not its own"
    );
    let released = one.released(&lease, Timestamp::UNIX_EPOCH).unwrap();
    server.write(&released).unwrap();
    work(&mut two, &mut server, start + PAUSE);
    assert!(holds(&two, start + PAUSE));
    assert_eq!(server.spec().lease_transitions, Some(1));
}

#[test]
fn a_write_whose_answer_was_lost_is_found_and_no_transition_is_counted_twice() {
    let start = Instant::now();
    let (mut one, _, mut server) = two(start);
    one.looked(None, start, PAUSE);
    let Step::Write(lease) = one.next(start, Timestamp::UNIX_EPOCH) else {
        panic!("it is free");
    };
    server.write(&lease).unwrap();
    one.failed(start);
    assert!(!holds(&one, start), "nothing is known of having it");
    let mut now = start + RETRY_EVERY;
    while let Step::Wait(wait) = work(&mut one, &mut server, now) {
        if holds(&one, now) {
            break;
        }
        now += wait;
    }
    assert!(now - start < 2 * RETRY_EVERY, "{:?}", now - start);
    assert_eq!(server.spec().lease_transitions, Some(0));
}

#[test]
fn a_request_that_hangs_does_not_cost_the_lease_and_two_that_do_end_the_term_in_time() {
    let start = Instant::now();
    let (mut one, _, mut server) = two(start);
    work(&mut one, &mut server, start);
    let due = start + RENEW_EVERY;
    assert!(matches!(
        one.next(due, Timestamp::UNIX_EPOCH),
        Step::Write(_)
    ));
    one.failed(due);
    let second = due + TRY_WITHIN;
    assert!(matches!(
        one.next(second, Timestamp::UNIX_EPOCH),
        Step::Write(_)
    ));
    one.failed(second);
    let end = start + Duration::from_millis(9999);
    assert!(matches!(
        one.next(end, Timestamp::UNIX_EPOCH),
        Step::Write(_)
    ));
    assert_eq!(one.next(start + TERM, Timestamp::UNIX_EPOCH), Step::Lost);
}

#[test]
fn a_lease_that_another_has_taken_is_lost_at_once() {
    let start = Instant::now();
    let (mut one, mut two, mut server) = two(start);
    work(&mut one, &mut server, start);
    // A person who is in a hurry.
    let mut lease = server.lease.clone().unwrap();
    lease.spec.as_mut().unwrap().holder_identity = None;
    server.write(&lease).unwrap();
    work(&mut two, &mut server, start);
    assert!(holds(&two, start));
    let now = start + RENEW_EVERY;
    assert_eq!(work(&mut one, &mut server, now), Step::Wait(CONFLICT_WAIT));
    assert_eq!(work(&mut one, &mut server, now + CONFLICT_WAIT), Step::Lost);
}

#[test]
fn what_others_put_on_the_lease_stays_and_makes_nobody_young() {
    let start = Instant::now();
    let (mut one, mut two, mut server) = two(start);
    work(&mut one, &mut server, start);
    work(&mut two, &mut server, start);
    let mut lease = server.lease.clone().unwrap();
    lease.metadata.labels = Some([("team".to_owned(), "a".to_owned())].into());
    server.write(&lease).unwrap();
    two.looked(server.lease.clone(), start + PAUSE * 14, PAUSE);
    work(&mut two, &mut server, start + LEASE);
    assert!(holds(&two, start + LEASE));
    assert!(server.lease.unwrap().metadata.labels.is_some());
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug)]
enum Disposition {
    Answered,
    NotSent,
    AnswerLost,
    /// It is carried out when the next request of anybody is.
    CarriedOutLate,
}

fn fate() -> impl Strategy<Value = Disposition> {
    prop_oneof![
        6 => Just(Disposition::Answered),
        1 => Just(Disposition::NotSent),
        1 => Just(Disposition::AnswerLost),
        1 => Just(Disposition::CarriedOutLate),
    ]
}

proptest! {
    // Whoever is frozen for however long, and whatever becomes of their requests.
    #[test]
    fn two_never_hold_it_at_once(
        turns in prop::collection::vec((any::<bool>(), 0_u64..9000, fate(), 0_u64..3000), 1..200)
    ) {
        let start = Instant::now();
        let (one, two, mut server) = two(start);
        let mut both = [one, two];
        let mut late = Vec::new();
        let mut now = start;
        for (turn, (who, pause, fate, takes)) in turns.into_iter().enumerate() {
            now += Duration::from_millis(pause);
            let (began, candidate) = (now, &mut both[usize::from(who)]);
            // A renewal is seen by its time.
            let wall = Timestamp::UNIX_EPOCH + now.duration_since(start);
            let step = candidate.next(began, wall);
            for lease in late.drain(..) {
                server.write(&lease);
            }
            match (step, fate) {
                (Step::Look | Step::Write(_), Disposition::NotSent) => candidate.failed(began),
                (Step::Look, _) => {
                    let lease = server.lease.clone();
                    now += Duration::from_millis(takes);
                    candidate.looked(lease, now, PAUSE);
                }
                (Step::Write(lease), Disposition::CarriedOutLate) => {
                    late.push(*lease);
                    candidate.failed(began);
                }
                (Step::Write(lease), fate) => {
                    let stored = server.write(&lease);
                    now += Duration::from_millis(takes);
                    match (stored, fate) {
                        (Some(stored), Disposition::Answered) => candidate.wrote(stored, began),
                        (None, Disposition::Answered) => candidate.refused(now),
                        _ => candidate.failed(began),
                    }
                }
                (Step::Wait(_), _) => {}
                (Step::Lost, _) => {
                    // The process is started again, as another holder.
                    *candidate = Candidate::new("lease", turn.to_string(), now);
                }
            }
            prop_assert!(both.iter().filter(|one| holds(one, now)).count() < 2);
        }
    }
}
