//! Rotation: recorded, sent once, decided by GET.

use provident_operator::api::Reason;
use provident_operator::plan::{
    Content, Field, Found, Open, Retry, Rotation, Seen, Sent, Step, Token, Vendor, Wait, next,
};
use serde_json::json;

use crate::{found, id, kept, ours, plain, ready, spec, told};

fn token(text: &str) -> Token {
    Token {
        text: text.to_owned(),
        scheduled: false,
    }
}

fn asked() -> Seen {
    Seen {
        rotation: Rotation {
            asked: Some(token("1")),
            ..Rotation::default()
        },
        ..kept()
    }
}

fn open(known: Sent) -> Seen {
    Seen {
        rotation: Rotation {
            open: Some(Open {
                token: token("1"),
                known,
            }),
            ..Rotation::default()
        },
        vendor: found(vec![]),
        ..kept()
    }
}

fn rotated(seen: Seen) -> Seen {
    let Vendor::Found(before) = seen.vendor else {
        panic!("asked before");
    };
    Seen {
        vendor: Vendor::Found(Found {
            rotated: true,
            ..before
        }),
        ..seen
    }
}

#[test]
fn it_is_proven_storable_and_recorded_before_it_is_sent() {
    let mut seen = asked();
    assert_eq!(next(&plain(), &seen), Some(Step::Verify(id())));
    seen.vendor = found(vec![]);
    assert_eq!(next(&plain(), &seen), Some(Step::Preflight));
    seen.preflight = true;
    assert_eq!(
        next(&plain(), &seen),
        Some(Step::RecordRotation(token("1")))
    );
    seen.rotation = Rotation {
        open: open(Sent::Unsent { in_time: true }).rotation.open,
        ..seen.rotation
    };
    assert_eq!(next(&plain(), &seen), Some(Step::Rotate(id())));
}

#[test]
fn s29_s30_what_was_sent_is_not_sent_again_until_it_is_proven_lost() {
    for known in [Sent::MayRun, Sent::Accepted, Sent::NotApplied] {
        assert_eq!(next(&plain(), &open(known)), None, "{known:?}");
    }
    for known in [Sent::Over, Sent::Refused, Sent::Unsent { in_time: false }] {
        let mut seen = open(known);
        assert_eq!(next(&plain(), &seen), Some(Step::Preflight), "{known:?}");
        seen.preflight = true;
        let again = Some(Step::RecordRotation(token("1")));
        assert_eq!(next(&plain(), &seen), again, "recorded anew: {known:?}");
    }
    assert_eq!(
        told(&plain(), &open(Sent::MayRun)).retry,
        Retry::RotationOver
    );
}

#[test]
fn s31_a_changed_secret_is_the_end_of_it_whatever_was_answered() {
    for known in [Sent::MayRun, Sent::Accepted, Sent::Refused, Sent::Over] {
        let mut seen = rotated(open(known));
        seen.secret = ours(Content::Stale);
        assert_eq!(next(&plain(), &seen), Some(Step::WriteSecret(id())));
        seen.secret = ours(Content::Current);
        assert_eq!(next(&plain(), &seen), None);
        assert_eq!(told(&plain(), &seen).retry, Retry::Verification);
        seen.rotation.asked = Some(token("2"));
        assert_eq!(told(&plain(), &seen).retry, Retry::Now, "then the next one");
    }
}

#[test]
fn s33_an_accepted_rotation_without_effect_is_told_and_ends_with_a_new_token() {
    let seen = open(Sent::NotApplied);
    let (_, reason, message) = ready(&plain(), &seen);
    assert_eq!(reason, Reason::NotApplied);
    assert!(
        message.contains("kubectl annotate") && message.contains("oauth.provident.ae/rotate="),
        "{message}"
    );
    let mut seen = Seen {
        preflight: true,
        ..seen
    };
    seen.rotation.asked = Some(token("2"));
    let anew = Some(Step::RecordRotation(token("2")));
    assert_eq!(next(&plain(), &seen), anew);
}

#[test]
fn the_secret_and_the_spec_come_first_and_workloads_restart_before_all_else() {
    let mut seen = Seen {
        vendor: found(vec![Field::Name]),
        restart: true,
        ..asked()
    };
    seen.secret = ours(Content::Stale);
    assert_eq!(next(&plain(), &seen), Some(Step::WriteSecret(id())));
    seen.secret = ours(Content::Current);
    assert_eq!(next(&plain(), &seen), Some(Step::RestartWorkloads));
    seen.restart = false;
    assert!(matches!(next(&plain(), &seen), Some(Step::Update(..))));
}

#[test]
fn nothing_is_rotated_while_suspended_leaving_or_unrecorded() {
    let seen = Seen {
        vendor: found(vec![]),
        preflight: true,
        ..asked()
    };
    assert_eq!(next(&spec(json!({ "suspend": true })), &seen), None);
    let stopping = Seen {
        stopping: true,
        ..seen
    };
    assert_eq!(next(&plain(), &stopping), None);
}

#[test]
fn a_schedule_that_waits_says_why_and_looks_again() {
    let mut seen = kept();
    seen.rotation.waits = Some(Wait::Turn);
    assert_eq!(next(&plain(), &seen), None);
    assert!(matches!(told(&plain(), &seen).retry, Retry::After(_)));
    seen.vendor = found(vec![]);
    for (wait, word) in [(Wait::Clock, "clocks"), (Wait::Schedule, "spec.rotation")] {
        seen.rotation.waits = Some(wait);
        let (_, reason, message) = told(&plain(), &seen).synced.unwrap();
        assert_eq!(reason, Reason::Available);
        assert!(message.contains(word), "{message}");
    }
}
