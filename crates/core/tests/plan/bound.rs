//! A client that is there: kept, corrected, deleted.

use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{
    self, AttemptState, Content, Facts, Field, Found, RecordedClient, SecretFacts, Step, Vendor,
    differing,
};
use provident_core::vendor::types::decode_client;
use serde_json::json;

use crate::{attempt, found, id, kept, ours, plain, ready, spec, texts, told};

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
    assert_eq!(told(&plain(), &kept()).ready, None, "nothing is written");
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
    let mut facts = Facts {
        vendor: Vendor::Found(after_put),
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), None);
    let (_, reason, message) = ready(&plain(), &facts);
    assert_eq!(reason, Reason::UpdateNotApplied);
    let remembered = plan::parse_names(message.strip_prefix(plan::NOT_APPLIED).unwrap());
    assert_eq!(remembered, [Field::AllowedIps]);
    facts.vendor = found(vec![Field::AllowedIps]);
    facts.not_applied = remembered;
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
    // ConditionUpdate, it is not asked for again, but at its time.
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
        definition_going: true,
        ..kept()
    };
    assert_eq!(plan::next(&plain(), &facts), Some(Step::DisownSecret));
    facts.secret = SecretFacts::Absent;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Release));
    // Whatever else a deletion would wait for.
    facts.record = RecordedClient::Unverified;
    assert_eq!(plan::next(&plain(), &facts), Some(Step::Release));
    facts.definition_going = false;
    assert_eq!(plan::next(&plain(), &facts), None);
}

#[test]
fn a_correction_that_could_not_be_sent_is_not_as_declared() {
    let stop = plan::Blocked {
        ready: ConditionStatus::False,
        reason: Reason::VendorUnavailable,
        message: "away".to_owned(),
        retry: plan::Requeue::Backoff,
    };
    let mut facts = kept();
    let report = |facts: &Facts| plan::report(&plain(), facts, Some(&stop), texts()).ready;
    assert_eq!(report(&facts), None, "nothing is pending for it");
    facts.vendor = found(vec![Field::Name]);
    assert_eq!(
        report(&facts).map(|told| told.1),
        Some(Reason::VendorUnavailable)
    );
}
