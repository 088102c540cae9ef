//! The create, and what a hold says.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{
    self, AttemptId, AttemptState, Binding, ConnectionFacts, Content, Facts, Owner, RecordedClient,
    SecretFacts, Step,
};
use provident_core::vendor::outcome::{Ambiguity, Refusal};
use serde_json::json;

use crate::{attempt, found, fresh, id, kept, ours, plain, ready, spec};

#[test]
fn a_create_is_proven_storable_then_claimed_then_sent_then_stored() {
    let mut facts = fresh();
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Preflight));
    facts.preflight = true;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::AddFinalizer));
    facts.finalizer = true;
    assert_eq!(
        plan::next(&plain(), &facts),
        Some(Step::Claim { retry_of: None })
    );
    facts.attempt = attempt(AttemptState::Unsent { in_time: true });
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Create));
    facts.attempt = attempt(AttemptState::Created(id()));
    facts.vendor = found(vec![]);
    assert_eq!(plan::next(&plain(), &facts), Some(Step::WriteSecret(id())));
    facts.secret = ours(Content::Current);
    assert_eq!(plan::next(&plain(), &facts), None);
    assert_eq!(ready(&plain(), &facts).1, Reason::Available);
    let records = plan::recorded_state(&facts);
    assert_eq!((records.client, records.attempt), (Some(id()), None));
}

#[test]
fn s01_s04_s09_a_hold_is_told_with_the_name_the_time_and_the_command_that_ends_it() {
    for state in [
        AttemptState::Abandoned,
        AttemptState::Unknown(Ambiguity::NoAnswer),
    ] {
        let facts = Facts {
            finalizer: true,
            attempt: attempt(state),
            ..fresh()
        };
        assert_eq!(plan::next(&plain(), &facts), None);
        let (status, reason, message) = ready(&plain(), &facts);
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::CreateOutcomeUnknown)
        );
        for part in [
            "2026-11-24T10:00:00Z",
            "\"shop-storefront\"",
            "kubectl annotate oauthclients.oauth.provident.ae storefront -n shop --overwrite oauth.provident.ae/retry-create=a1",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(reason.needs_action());
    }
}

#[test]
fn a_hold_is_tried_again_only_for_the_attempt_that_a_person_named() {
    let mut facts = Facts {
        finalizer: true,
        preflight: true,
        attempt: attempt(AttemptState::Abandoned),
        ..fresh()
    };
    facts.retry = Some(AttemptId("another".to_owned()));
    assert_eq!(plan::next(&plain(), &facts), None);
    facts.retry = Some(AttemptId("a1".to_owned()));
    assert_eq!(
        plan::next(&plain(), &facts),
        Some(Step::Claim {
            retry_of: facts.retry.clone()
        })
    );
    facts.attempt = attempt(AttemptState::InProgress);
    assert_eq!(
        plan::next(&plain(), &facts),
        None,
        "it may still be answered"
    );
}

#[test]
fn a_retry_that_made_nothing_puts_the_held_attempt_back() {
    let mut facts = Facts {
        finalizer: true,
        attempt: attempt(AttemptState::NotCreated(Refusal::Throttled)),
        ..fresh()
    };
    assert_eq!(plan::recorded_state(&facts).attempt, None);
    facts.attempt.as_mut().unwrap().retry_of = Some(AttemptId("a0".to_owned()));
    assert_eq!(
        plan::recorded_state(&facts).attempt,
        Some(AttemptId("a0".to_owned()))
    );
}

#[test]
fn nothing_is_begun_while_stopping_suspended_denied_or_behind_an_open_breaker() {
    let denied = ConnectionFacts::Denied("no rule".to_owned());
    for facts in [
        Facts {
            stopping: true,
            ..fresh()
        },
        Facts {
            breaker_open: true,
            ..fresh()
        },
        Facts {
            rejected: true,
            ..fresh()
        },
        Facts {
            connection: denied,
            ..fresh()
        },
    ] {
        assert_eq!(plan::next(&plain(), &facts), None, "{facts:?}");
    }
    assert_eq!(
        plan::next(&spec(json!({ "suspend": true })), &fresh()),
        None
    );
}

#[test]
fn s08_an_unbound_client_id_is_never_used() {
    let facts = Facts {
        record: RecordedClient::Unverified,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), None);
    assert_eq!(ready(&plain(), &facts).1, Reason::BindingMismatch);
    let deleting = Facts {
        deleting: true,
        ..facts
    };
    assert_eq!(plan::next(&plain(), &deleting), None);
    let message = ready(&plain(), &deleting).2;
    assert!(
        message.contains("kubectl patch oauthclients.oauth.provident.ae storefront -n shop")
            && message.contains("Retain"),
        "{message}"
    );
    let retain = spec(json!({ "deletionPolicy": "Retain" }));
    assert_eq!(plan::next(&retain, &deleting), Some(Step::DisownSecret));
}

#[test]
fn s18_a_strangers_secret_is_neither_taken_nor_created_beside() {
    for (owner, binding) in [
        (Owner::Other, Binding::Valid(id())),
        (Owner::None, Binding::Missing),
    ] {
        let facts = Facts {
            secret: SecretFacts::Present {
                owner,
                binding,
                content: Content::Unknown,
            },
            ..fresh()
        };
        assert_eq!(plan::next(&plain(), &facts), None);
        let (_, reason, message) = ready(&plain(), &facts);
        assert_eq!(reason, Reason::SecretConflict);
        assert!(
            message.starts_with("spec.secret.name: ") && message.contains("storefront"),
            "{message}"
        );
    }
}
