//! Rotation: recorded, sent once, decided by GET.

use provident_core::api::Reason;
use provident_core::plan::{
    Content, Facts, Field, Found, Open, Requeue, Rotation, RotationState, Step, Token, Vendor,
    Wait, next,
};
use serde_json::json;

use crate::{found, id, kept, ours, plain, ready, report_of, spec};

fn token(text: &str) -> Token {
    Token {
        text: text.to_owned(),
        scheduled: false,
    }
}

fn asked() -> Facts {
    Facts {
        rotation: Rotation {
            requested: Some(token("1")),
            ..Rotation::default()
        },
        ..kept()
    }
}

fn open(state: RotationState) -> Facts {
    Facts {
        rotation: Rotation {
            open: Some(Open {
                token: token("1"),
                state,
            }),
            ..Rotation::default()
        },
        vendor: found(vec![]),
        ..kept()
    }
}

fn rotated(facts: Facts) -> Facts {
    let Vendor::Found(before) = facts.vendor else {
        panic!("asked before");
    };
    Facts {
        vendor: Vendor::Found(Found {
            rotated: true,
            ..before
        }),
        ..facts
    }
}

#[test]
fn it_is_proven_storable_and_recorded_before_it_is_sent() {
    let mut facts = asked();
    assert_eq!(next(&plain(), &facts), Some(Step::Verify(id())));
    facts.vendor = found(vec![]);
    assert_eq!(next(&plain(), &facts), Some(Step::Preflight));
    facts.preflight = true;
    assert_eq!(
        next(&plain(), &facts),
        Some(Step::RecordRotation(token("1")))
    );
    facts.rotation = Rotation {
        open: open(RotationState::Unsent { in_time: true }).rotation.open,
        ..facts.rotation
    };
    assert_eq!(next(&plain(), &facts), Some(Step::Rotate(id())));
}

#[test]
fn s29_s30_what_was_sent_is_not_sent_again_until_it_is_proven_lost() {
    for state in [
        RotationState::InProgress,
        RotationState::Accepted,
        RotationState::NotApplied,
    ] {
        assert_eq!(next(&plain(), &open(state)), None, "{state:?}");
    }
    for state in [
        RotationState::Abandoned,
        RotationState::Refused,
        RotationState::Unsent { in_time: false },
    ] {
        let mut facts = open(state);
        assert_eq!(next(&plain(), &facts), Some(Step::Preflight), "{state:?}");
        facts.preflight = true;
        let again = Some(Step::RecordRotation(token("1")));
        assert_eq!(next(&plain(), &facts), again, "recorded again: {state:?}");
    }
    assert_eq!(
        report_of(&plain(), &open(RotationState::InProgress)).requeue,
        Requeue::RotationOver
    );
}

#[test]
fn s31_a_changed_secret_is_the_end_of_it_whatever_was_answered() {
    for state in [
        RotationState::InProgress,
        RotationState::Accepted,
        RotationState::Refused,
        RotationState::Abandoned,
    ] {
        let mut facts = rotated(open(state));
        facts.secret = ours(Content::Stale);
        assert_eq!(next(&plain(), &facts), Some(Step::WriteSecret(id())));
        facts.secret = ours(Content::Current);
        assert_eq!(next(&plain(), &facts), None);
        assert_eq!(report_of(&plain(), &facts).requeue, Requeue::Verification);
        facts.rotation.requested = Some(token("2"));
        assert_eq!(
            report_of(&plain(), &facts).requeue,
            Requeue::Now,
            "then the next one"
        );
    }
}

#[test]
fn s33_an_accepted_rotation_without_effect_is_told_and_ends_with_a_new_token() {
    let facts = open(RotationState::NotApplied);
    let (_, reason, message) = ready(&plain(), &facts);
    assert_eq!(reason, Reason::RotationNotApplied);
    assert!(
        message.contains("kubectl annotate") && message.contains("oauth.provident.ae/rotate="),
        "{message}"
    );
    let mut facts = Facts {
        preflight: true,
        ..facts
    };
    facts.rotation.requested = Some(token("2"));
    let again = Some(Step::RecordRotation(token("2")));
    assert_eq!(next(&plain(), &facts), again);
}

#[test]
fn the_secret_and_the_spec_come_first_and_workloads_restart_before_all_else() {
    let mut facts = Facts {
        vendor: found(vec![Field::Name]),
        restart: true,
        ..asked()
    };
    facts.secret = ours(Content::Stale);
    assert_eq!(next(&plain(), &facts), Some(Step::WriteSecret(id())));
    facts.secret = ours(Content::Current);
    assert_eq!(next(&plain(), &facts), Some(Step::RestartWorkloads));
    facts.restart = false;
    assert!(matches!(next(&plain(), &facts), Some(Step::Update(..))));
}

#[test]
fn nothing_is_rotated_while_suspended_leaving_or_unrecorded() {
    let facts = Facts {
        vendor: found(vec![]),
        preflight: true,
        ..asked()
    };
    assert_eq!(next(&spec(json!({ "suspend": true })), &facts), None);
    let stopping = Facts {
        stopping: true,
        ..facts
    };
    assert_eq!(next(&plain(), &stopping), None);
}

#[test]
fn a_schedule_that_waits_says_why_and_looks_again() {
    let mut facts = kept();
    facts.rotation.waiting = Some(Wait::Turn);
    assert_eq!(next(&plain(), &facts), None);
    assert!(matches!(
        report_of(&plain(), &facts).requeue,
        Requeue::After(_)
    ));
    facts.vendor = found(vec![]);
    for (wait, word) in [(Wait::Clock, "clocks"), (Wait::Schedule, "spec.rotation")] {
        facts.rotation.waiting = Some(wait);
        let (_, reason, message) = report_of(&plain(), &facts).synced.unwrap();
        assert_eq!(reason, Reason::Available);
        assert!(message.contains(word), "{message}");
    }
}
