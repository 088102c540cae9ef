//! A client that is there: kept, corrected, deleted.

use provident_operator::api::{ConditionStatus, Reason};
use provident_operator::plan::{
    self, Content, Field, Found, Known, Record, SecretSeen, Seen, Step, Vendor, differing,
};
use provident_operator::provident::types::decode_client;
use serde_json::json;

use crate::{attempt, found, id, kept, ours, plain, ready, spec, texts, told};

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
