//! The create, and what a hold says.

use provident_operator::api::{ConditionStatus, Reason};
use provident_operator::plan::{
    self, AttemptId, Binding, Connection, Content, Known, Owner, Record, SecretSeen, Seen, Step,
};
use provident_operator::provident::outcome::{Doubt, Refusal};
use serde_json::json;

use crate::{attempt, found, fresh, id, kept, ours, plain, ready, spec};

#[test]
fn a_create_is_proven_storable_then_claimed_then_sent_then_stored() {
    let mut seen = fresh();
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Preflight));
    seen.preflight = true;
    assert_eq!(plan::next(&plain(), &seen), Some(Step::AddFinalizer));
    seen.finalizer = true;
    assert_eq!(
        plan::next(&plain(), &seen),
        Some(Step::Claim { retry_of: None })
    );
    seen.attempt = attempt(Known::Unsent { in_time: true });
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Create));
    seen.attempt = attempt(Known::Created(id()));
    seen.vendor = found(vec![]);
    assert_eq!(plan::next(&plain(), &seen), Some(Step::WriteSecret(id())));
    seen.secret = ours(Content::Current);
    assert_eq!(plan::next(&plain(), &seen), None);
    assert_eq!(ready(&plain(), &seen).1, Reason::Available);
    let records = plan::records(&seen);
    assert_eq!((records.client, records.attempt), (Some(id()), None));
}

#[test]
fn s01_s04_s09_a_hold_is_told_with_the_name_the_time_and_the_command_that_ends_it() {
    for known in [Known::Over, Known::Unknown(Doubt::Silent)] {
        let seen = Seen {
            finalizer: true,
            attempt: attempt(known),
            ..fresh()
        };
        assert_eq!(plan::next(&plain(), &seen), None);
        let (status, reason, message) = ready(&plain(), &seen);
        assert_eq!(
            (status, reason),
            (ConditionStatus::False, Reason::CreateOutcomeUnknown)
        );
        for part in [
            "2026-11-24T10:00:00Z",
            "\"shop-storefront\"",
            "kubectl annotate oauthclient storefront -n shop --overwrite oauth.provident.ae/retry-create=a1",
        ] {
            assert!(message.contains(part), "{message}");
        }
        assert!(plan::needs_a_person(reason));
    }
}

#[test]
fn a_hold_is_tried_again_only_for_the_attempt_that_a_person_named() {
    let mut seen = Seen {
        finalizer: true,
        preflight: true,
        attempt: attempt(Known::Over),
        ..fresh()
    };
    seen.retry = Some(AttemptId("another".to_owned()));
    assert_eq!(plan::next(&plain(), &seen), None);
    seen.retry = Some(AttemptId("a1".to_owned()));
    assert_eq!(
        plan::next(&plain(), &seen),
        Some(Step::Claim {
            retry_of: seen.retry.clone()
        })
    );
    seen.attempt = attempt(Known::MayRun);
    assert_eq!(
        plan::next(&plain(), &seen),
        None,
        "it may still be answered"
    );
}

#[test]
fn a_retry_that_made_nothing_puts_the_held_attempt_back() {
    let mut seen = Seen {
        finalizer: true,
        attempt: attempt(Known::NotCreated(Refusal::Throttled)),
        ..fresh()
    };
    assert_eq!(plan::records(&seen).attempt, None);
    seen.attempt.as_mut().unwrap().retry_of = Some(AttemptId("a0".to_owned()));
    assert_eq!(
        plan::records(&seen).attempt,
        Some(AttemptId("a0".to_owned()))
    );
}

#[test]
fn nothing_is_begun_while_stopping_suspended_denied_or_behind_an_open_breaker() {
    let denied = Connection::Denied("no rule".to_owned());
    for seen in [
        Seen {
            stopping: true,
            ..fresh()
        },
        Seen {
            breaker_open: true,
            ..fresh()
        },
        Seen {
            rejected: true,
            ..fresh()
        },
        Seen {
            connection: denied,
            ..fresh()
        },
    ] {
        assert_eq!(plan::next(&plain(), &seen), None, "{seen:?}");
    }
    assert_eq!(
        plan::next(&spec(json!({ "suspend": true })), &fresh()),
        None
    );
}

#[test]
fn s08_an_unbound_client_id_is_never_used() {
    let seen = Seen {
        record: Record::Unproven,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), None);
    assert_eq!(ready(&plain(), &seen).1, Reason::BindingMismatch);
    let deleting = Seen {
        deleting: true,
        ..seen
    };
    assert_eq!(plan::next(&plain(), &deleting), None);
    let message = ready(&plain(), &deleting).2;
    assert!(
        message.contains("kubectl patch oauthclient storefront -n shop")
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
        let seen = Seen {
            secret: SecretSeen::Present {
                owner,
                binding,
                content: Content::Unknown,
            },
            ..fresh()
        };
        assert_eq!(plan::next(&plain(), &seen), None);
        let (_, reason, message) = ready(&plain(), &seen);
        assert_eq!(reason, Reason::SecretConflict);
        assert!(
            message.starts_with("spec.secret.name: ") && message.contains("storefront"),
            "{message}"
        );
    }
}
