//! A client that is there: kept, corrected, deleted.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{
    self, AttemptState, Content, Facts, Field, Found, RecordedClient, SecretFacts, Step, Vendor,
    differing,
};
use provident_core::vendor::types::decode_client;
use serde_json::json;

use crate::{attempt, found, id, kept, ours, plain, ready, report_of, spec, texts};

#[test]
fn s23_s26_a_deletion_deactivates_first_and_a_client_that_is_gone_needs_none() {
    let mut facts = Facts {
        deleting: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Deactivate(id())));
    for vendor in [Vendor::Deactivated, Vendor::Missing] {
        facts.vendor = vendor;
        assert_eq!(plan::next(&plain(), &facts), Some(Step::Release));
    }
    let running = Facts {
        record: RecordedClient::Empty,
        attempt: attempt(AttemptState::InProgress),
        vendor: Vendor::NotAsked,
        ..facts
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
    assert_eq!(
        report_of(&plain(), &kept()).ready,
        None,
        "nothing is written"
    );
    let drifted = Facts {
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
        report_of(&report, &drifted).ready.unwrap(),
        report_of(&report, &drifted).synced.unwrap(),
    );
    assert_eq!(
        (ready.0, synced.1),
        (ConditionStatus::True, Reason::Drifted)
    );
    assert!(synced.2.contains("differs in: name."), "{}", synced.2);
}

#[test]
fn s37_a_put_without_effect_is_told_and_not_repeated() {
    let after_put = Found {
        differs: vec![Field::AllowedIps],
        credentials: true,
        active: true,
        rotated: false,
    };
    let mut facts = Facts {
        vendor: Vendor::Found(after_put),
        updated: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), None);
    let (_, reason, message) = ready(&plain(), &facts);
    assert_eq!(reason, Reason::UpdateNotApplied);
    assert!(message.contains("allowedIps"), "{message}");
    // The next reconcile knows the field from status.
    facts.vendor = found(vec![Field::AllowedIps]);
    facts.updated = false;
    facts.not_applied = vec![Field::AllowedIps];
    assert_eq!(plan::next(&plain(), &facts), None);
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
    let mut facts = Facts {
        contested: true,
        secret: ours(Content::Stale),
        vendor: found(Vec::new()),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), None);
    let (status, reason, message) = ready(&plain(), &facts);
    assert_eq!(
        (status, reason),
        (ConditionStatus::False, Reason::SecretConflict)
    );
    assert!(message.contains("--show-managed-fields"), "{message}");
    // Once reported, it is not verified again before its time.
    facts = Facts {
        contested: true,
        ready: false,
        secret: ours(Content::Unknown),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), None);
    assert_eq!(ready(&plain(), &facts).1, Reason::SecretConflict);
    facts.due = true;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Verify(id())));
    facts = Facts {
        contested: false,
        due: false,
        ..facts
    };
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Verify(id())));
}

#[test]
fn while_the_definition_goes_every_deletion_is_a_retain() {
    let mut facts = Facts {
        deleting: true,
        crd_terminating: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), Some(Step::DisownSecret));
    facts.secret = SecretFacts::Absent;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Release));
    // Whatever else a deletion would wait for.
    facts.record = RecordedClient::Unverified;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Release));
    facts.crd_terminating = false;
    assert_eq!(plan::next(&plain(), &facts), None);
}

#[test]
fn a_correction_that_could_not_be_sent_is_not_as_declared() {
    let blocked = plan::Blocked::new(Reason::VendorUnavailable, "down", plan::Requeue::Backoff);
    let mut facts = Facts {
        blocked: Some(blocked),
        ..kept()
    };
    let report = |facts: &Facts| plan::report(&plain(), facts, texts()).ready;
    assert_eq!(report(&facts), None, "nothing is pending for it");
    facts.vendor = found(vec![Field::Name]);
    assert_eq!(
        report(&facts).map(|report| report.1),
        Some(Reason::VendorUnavailable)
    );
}

/// A change of the facts, and the reason that reports it.
type Problem<'a> = (&'a dyn Fn(&mut Facts), Reason);

#[test]
fn a_worse_condition_is_never_hidden_by_a_milder_one() {
    // From the worst to the mildest: whatever else is the case, the worst one is the reason of Synced.
    let inactive = |facts: &mut Facts| {
        if let Vendor::Found(found) = &mut facts.vendor {
            found.active = false;
        }
    };
    let not_rotated = |facts: &mut Facts| {
        facts.rotation.open = Some(plan::Open {
            token: plan::Token {
                text: "1".to_owned(),
                scheduled: false,
            },
            state: plan::RotationState::NotApplied,
        });
    };
    let drifted = |facts: &mut Facts| {
        if let Vendor::Found(found) = &mut facts.vendor {
            found.differs = vec![Field::Name];
        }
    };
    let report_only = spec(json!({ "name": "n", "driftPolicy": "Report" }));
    let problems: [Problem<'_>; 3] = [
        (&inactive, Reason::DeactivatedAtVendor),
        (&not_rotated, Reason::RotationNotApplied),
        (&drifted, Reason::Drifted),
    ];
    for (worse, (apply_worse, reason)) in problems.iter().enumerate() {
        for (apply_milder, _) in &problems[worse..] {
            let mut facts = Facts {
                vendor: found(Vec::new()),
                ..kept()
            };
            apply_milder(&mut facts);
            apply_worse(&mut facts);
            let synced = report_of(&report_only, &facts).synced.unwrap();
            assert_eq!(synced.1, *reason);
            let ready = ready(&report_only, &facts);
            let truth = if *reason == Reason::Drifted {
                ConditionStatus::True
            } else {
                ConditionStatus::False
            };
            assert_eq!(ready.0, truth, "{reason}");
        }
    }
    // Also where the spec states isActive: true and the operator may not correct it.
    let stated = spec(json!({ "isActive": true, "driftPolicy": "Report" }));
    let mut facts = Facts {
        vendor: found(vec![Field::IsActive]),
        ..kept()
    };
    inactive(&mut facts);
    assert_eq!(ready(&stated, &facts).1, Reason::DeactivatedAtVendor);
}

#[test]
fn a_suspended_ready_object_stays_ready_for_its_new_generation() {
    let suspended = spec(json!({ "suspend": true }));
    let mut facts = Facts {
        ready: false,
        was_ready: true,
        ..kept()
    };
    assert_eq!(plan::next(&suspended, &facts), None);
    let (status, reason, _) = ready(&suspended, &facts);
    assert_eq!((status, reason), (ConditionStatus::True, Reason::Suspended));
    facts.was_ready = false;
    assert_eq!(report_of(&suspended, &facts).ready, None);
}

#[test]
fn a_failing_rotation_and_an_unanswered_verification_show() {
    let blocked = plan::Blocked::new(Reason::VendorUnavailable, "down", plan::Requeue::Backoff);
    let facts = Facts {
        blocked: Some(blocked),
        ..kept()
    };
    assert_eq!(
        report_of(&plain(), &facts).ready,
        None,
        "nothing is pending"
    );
    let rotating = Facts {
        rotation: plan::Rotation {
            requested: Some(plan::Token {
                text: "1".to_owned(),
                scheduled: false,
            }),
            ..plan::Rotation::default()
        },
        ..facts.clone()
    };
    assert_eq!(ready(&plain(), &rotating).1, Reason::VendorUnavailable);
    let requested = Facts {
        verification_requested: true,
        ..facts
    };
    assert_eq!(ready(&plain(), &requested).1, Reason::VendorUnavailable);
    // Its connection is gone: the client says that it is no longer verified, and stays Ready.
    let unconnected = Facts {
        connection: plan::ConnectionFacts::Unusable(Reason::ConnectionNotFound, "gone".to_owned()),
        ..kept()
    };
    let report = report_of(&plain(), &unconnected);
    let synced = report.synced.unwrap();
    assert_eq!(
        (report.ready, synced.0, synced.1),
        (None, ConditionStatus::Unknown, Reason::ConnectionNotFound)
    );
}
