//! `unknownOutcomePolicy: Retry`: once per object, without a person.

use provident_core::api::Reason;
use provident_core::plan::{self, AttemptId, AttemptState, AutoRetry, Facts, Step};
use provident_core::vendor::outcome::Ambiguity;

use crate::{attempt, fresh, id, plain, ready};

#[test]
fn an_unknown_outcome_is_tried_again_without_a_person_only_where_the_connection_says_so() {
    let held = |auto_retry, state| Facts {
        finalizer: true,
        preflight: true,
        attempt: attempt(state),
        auto_retry,
        ..fresh()
    };
    let silent = || AttemptState::Unknown(Ambiguity::NoAnswer);
    let again = Some(Step::Claim {
        retry_of: Some(AttemptId("a1".to_owned())),
    });
    for state in [silent(), AttemptState::Abandoned] {
        let next = |auto_retry| plan::next(&plain(), &held(auto_retry, state.clone()));
        assert_eq!(next(AutoRetry::Due), again);
        for wait in [AutoRetry::No, AutoRetry::Early, AutoRetry::Unprobed] {
            assert_eq!(next(wait), None, "{wait:?}");
        }
    }
    // Once per object: a second try is not tried again, and neither is an answer that was not new.
    let mut second = held(AutoRetry::Due, silent());
    if let Some(attempt) = &mut second.attempt {
        attempt.retry_of = Some(AttemptId("a0".to_owned()));
    }
    assert_eq!(plan::next(&plain(), &second), None);
    let not_new = held(
        AutoRetry::Due,
        AttemptState::Unknown(Ambiguity::ExistingClient),
    );
    assert_eq!(plan::next(&plain(), &not_new), None);
    // Nothing else is tried again by it: not one that may run, nor one that is state.
    for state in [AttemptState::InProgress, AttemptState::Created(id())] {
        assert_ne!(plan::next(&plain(), &held(AutoRetry::Due, state)), again);
    }
    let closed = Facts {
        breaker_open: true,
        ..held(AutoRetry::Due, silent())
    };
    assert_eq!(plan::next(&plain(), &closed), None);

    // Whoever waits for it must not read that a person has to act.
    let (_, reason, message) = ready(&plain(), &held(AutoRetry::Early, silent()));
    assert_eq!(reason, Reason::Pending);
    assert!(message.contains("unknownOutcomePolicy"), "{message}");
    assert!(!reason.needs_action());
    let (_, reason, _) = ready(&plain(), &held(AutoRetry::No, silent()));
    assert_eq!(reason, Reason::CreateOutcomeUnknown);
}
