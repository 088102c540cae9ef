//! The plan, case by case: what is done next, and what people are told. `tests/model` has every interleaving of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "short tables of cases"
)]

mod adoption;
mod rotation;

use provident_operator::api::{ConditionStatus, OAuthClientSpec, Reason};
use provident_operator::plan::{
    self, Adoption, Attempt, AttemptId, Binding, Connection, Content, Field, Found, Known, Owner,
    Record, Report, Rival, Rotation, SecretSeen, Seen, Step, Texts, Vendor, differing,
};
use provident_operator::provident::outcome::{Doubt, Refusal};
use provident_operator::provident::types::{ClientId, decode_client};
use serde_json::json;

fn spec(more: serde_json::Value) -> OAuthClientSpec {
    let mut spec = json!({ "allowedScopes": ["listings:read"] });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn plain() -> OAuthClientSpec {
    spec(json!({}))
}

fn fresh() -> Seen {
    Seen {
        deleting: false,
        finalizer: false,
        ready: false,
        rejected: false,
        due: false,
        record: Record::Empty,
        attempt: None,
        retry: None,
        secret: SecretSeen::Absent,
        connection: Connection::Usable,
        breaker_open: false,
        stopping: false,
        preflight: false,
        vendor: Vendor::NotAsked,
        contested: false,
        definition_going: false,
        not_applied: Vec::new(),
        adoption: Adoption::None,
        rival: Rival::None,
        restart: false,
        rotation: Rotation::default(),
    }
}

fn id() -> ClientId {
    ClientId::parse("c1").unwrap()
}

fn attempt(known: Known) -> Option<Attempt> {
    Some(Attempt {
        id: AttemptId("a1".to_owned()),
        retry_of: None,
        known,
    })
}

fn ours(content: Content) -> SecretSeen {
    SecretSeen::Present {
        owner: Owner::This,
        binding: Binding::Valid(id()),
        content,
    }
}

fn found(differs: Vec<Field>) -> Vendor {
    Vendor::Found(Found {
        differs,
        updated: false,
        credentials: true,
        active: true,
        rotated: false,
    })
}

fn kept() -> Seen {
    Seen {
        finalizer: true,
        ready: true,
        record: Record::Bound(id()),
        secret: ours(Content::Current),
        ..fresh()
    }
}

fn told(spec: &OAuthClientSpec, seen: &Seen) -> Report {
    plan::report(spec, seen, None, texts())
}

fn texts() -> Texts<'static> {
    Texts {
        namespace: "shop",
        name: "storefront",
        secret: "storefront",
        vendor_name: "shop-storefront",
        attempt_time: "2026-11-24T10:00:00Z",
    }
}

fn ready(spec: &OAuthClientSpec, seen: &Seen) -> (ConditionStatus, Reason, String) {
    told(spec, seen).ready.expect("Ready is told")
}

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

#[test]
fn s23_s26_a_deletion_deactivates_first_and_a_client_that_is_gone_needs_none() {
    let mut seen = Seen {
        deleting: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Deactivate(id())));
    for vendor in [Vendor::Deactivated, Vendor::Missing] {
        seen.vendor = vendor;
        assert_eq!(plan::next(&plain(), &seen), Some(Step::Release));
    }
    let running = Seen {
        record: Record::Empty,
        attempt: attempt(Known::MayRun),
        vendor: Vendor::NotAsked,
        ..seen
    };
    assert_eq!(
        plan::next(&plain(), &running),
        None,
        "no finalizer is removed while an attempt may run"
    );
}

#[test]
fn settled_is_silent_and_drift_is_corrected_or_reported() {
    assert_eq!(plan::next(&plain(), &kept()), None);
    assert_eq!(told(&plain(), &kept()).ready, None, "nothing is written");
    let drifted = Seen {
        vendor: found(vec![Field::Name]),
        ..kept()
    };
    assert_eq!(
        plan::next(&plain(), &drifted),
        Some(Step::Update(id(), vec![Field::Name]))
    );
    let report = spec(json!({ "driftPolicy": "Report" }));
    assert_eq!(plan::next(&report, &drifted), None);
    let (ready, synced) = (
        told(&report, &drifted).ready.unwrap(),
        told(&report, &drifted).synced.unwrap(),
    );
    assert_eq!(
        (ready.0, synced.1),
        (ConditionStatus::True, Reason::Drifted)
    );
    assert!(synced.2.ends_with("name"), "{}", synced.2);
}

#[test]
fn s37_a_put_without_effect_is_told_and_not_repeated() {
    let after_put = Found {
        differs: vec![Field::AllowedIps],
        updated: true,
        credentials: true,
        active: true,
        rotated: false,
    };
    let mut seen = Seen {
        vendor: Vendor::Found(after_put),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), None);
    let (_, reason, message) = ready(&plain(), &seen);
    assert_eq!(reason, Reason::NotApplied);
    let remembered = plan::parse_names(message.strip_prefix(plan::NOT_APPLIED).unwrap());
    assert_eq!(remembered, [Field::AllowedIps]);
    seen.vendor = found(vec![Field::AllowedIps]);
    seen.not_applied = remembered;
    assert_eq!(plan::next(&plain(), &seen), None);
}

#[test]
fn s38_numbers_sets_and_case_of_names_do_not_make_a_difference() {
    let stated = spec(
        json!({ "tokenLifetimeSeconds": 3600, "ipRestriction": true, "allowedIps": ["10.0.0.1", "10.0.0.2"] }),
    );
    let vendor = decode_client(
        br#"{"clientId":"c1","tokenLifetimeSeconds":3600.0,"ip_restriction":true,"allowedIps":["10.0.0.2","10.0.0.1"],
             "allowedScopes":["listings:read"],"name":"any","rateLimitCount":7,"unknown":{}}"#,
    );
    assert_eq!(differing(&stated, &vendor.unwrap()), []);
    let other = decode_client(
        br#"{"clientId":"c1","tokenLifetimeSeconds":0,"allowedScopes":["listings:read"]}"#,
    );
    assert_eq!(
        differing(&stated, &other.unwrap()),
        [
            Field::TokenLifetimeSeconds,
            Field::IpRestriction,
            Field::AllowedIps
        ]
    );
}

#[test]
fn a_secret_that_is_fought_over_is_neither_written_nor_asked_for_until_it_may_be() {
    let mut seen = Seen {
        contested: true,
        secret: ours(Content::Stale),
        vendor: found(Vec::new()),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), None);
    let (status, reason, message) = ready(&plain(), &seen);
    assert_eq!(
        (status, reason),
        (ConditionStatus::False, Reason::SecretConflict)
    );
    assert!(message.contains("--show-managed-fields"), "{message}");
    // Told, it is not asked for again, but at its time.
    seen = Seen {
        contested: true,
        ready: false,
        secret: ours(Content::Unknown),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), None);
    assert_eq!(ready(&plain(), &seen).1, Reason::SecretConflict);
    seen.due = true;
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Verify(id())));
    seen = Seen {
        contested: false,
        due: false,
        ..seen
    };
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Verify(id())));
}

#[test]
fn while_the_definition_goes_every_deletion_is_a_retain() {
    let mut seen = Seen {
        deleting: true,
        definition_going: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &seen), Some(Step::DisownSecret));
    seen.secret = SecretSeen::Absent;
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Release));
    // Whatever else a deletion would wait for.
    seen.record = Record::Unproven;
    assert_eq!(plan::next(&plain(), &seen), Some(Step::Release));
    seen.definition_going = false;
    assert_eq!(plan::next(&plain(), &seen), None);
}

#[test]
fn a_correction_that_could_not_be_sent_is_not_as_declared() {
    let stop = plan::Stop {
        ready: ConditionStatus::False,
        reason: Reason::VendorUnavailable,
        message: "away".to_owned(),
        retry: plan::Retry::Backoff,
    };
    let mut seen = kept();
    let report = |seen: &Seen| plan::report(&plain(), seen, Some(&stop), texts()).ready;
    assert_eq!(report(&seen), None, "nothing is pending for it");
    seen.vendor = found(vec![Field::Name]);
    assert_eq!(
        report(&seen).map(|told| told.1),
        Some(Reason::VendorUnavailable)
    );
}
