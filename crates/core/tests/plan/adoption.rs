//! `AdoptionFact`: who proves a client by its secret may take it, and nobody else.

use provident_core::api::{OAuthClientSpec, Reason};
use provident_core::plan::{
    AdoptionFact, AttemptState, Binding, Conflict, Content, Facts, Owner, RecordedClient,
    SecretFacts, Step, client, next, recorded_state,
};
use serde_json::json;

use crate::{attempt, found, fresh, id, kept, plain, ready, spec};

fn adopting() -> OAuthClientSpec {
    spec(json!({ "adoption": { "clientId": "c1", "secretKeyRef": { "name": "s", "key": "k" } } }))
}

fn proof(in_place: bool) -> AdoptionFact {
    AdoptionFact::Proof {
        client: id(),
        in_place,
    }
}

fn proven(facts: Facts, in_place: bool) -> Facts {
    Facts {
        adoption: AdoptionFact::Proven {
            client: id(),
            in_place,
        },
        vendor: found(vec![]),
        ..facts
    }
}

fn foreign(owner: Owner, binding: Binding) -> SecretFacts {
    SecretFacts::Present {
        owner,
        binding,
        content: Content::Stale,
    }
}

#[test]
fn it_is_never_a_create_and_never_without_a_proof() {
    assert_eq!(next(&adopting(), &fresh()), None);
    let refused = Facts {
        adoption: AdoptionFact::Refused(Reason::AdoptionRejected, "spec.adoption: no".to_owned()),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &refused), None);
    assert_eq!(ready(&adopting(), &refused).1, Reason::AdoptionRejected);
}

#[test]
fn it_takes_the_finalizer_then_asks_then_writes_the_secret() {
    let mut facts = Facts {
        adoption: proof(false),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &facts), Some(Step::AddFinalizer));
    facts.finalizer = true;
    assert_eq!(next(&adopting(), &facts), Some(Step::Adopt(id())));
    assert_eq!(client(&facts), None, "not before it is proven");
    let facts = proven(facts, false);
    assert_eq!(next(&adopting(), &facts), Some(Step::WriteSecret(id())));
    assert_eq!(recorded_state(&facts).client, Some(id()));
}

#[test]
fn the_very_secret_that_proves_it_is_taken_over_and_no_other() {
    for (owner, in_place, step) in [
        (Owner::None, true, Some(Step::Adopt(id()))),
        (Owner::None, false, None),
        (Owner::Other, false, None),
    ] {
        let facts = Facts {
            finalizer: true,
            adoption: proof(in_place),
            secret: foreign(owner, Binding::Missing),
            ..fresh()
        };
        assert_eq!(next(&adopting(), &facts), step, "{owner:?} {in_place}");
        if step.is_none() {
            assert_eq!(ready(&adopting(), &facts).1, Reason::SecretConflict);
        } else {
            let write = Some(Step::WriteSecret(id()));
            assert_eq!(next(&adopting(), &proven(facts, in_place)), write);
        }
    }
}

#[test]
fn it_ends_a_hold_but_does_not_cut_into_a_create_that_may_run() {
    let mut facts = Facts {
        finalizer: true,
        attempt: attempt(AttemptState::Abandoned),
        adoption: proof(false),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &facts), Some(Step::Adopt(id())));
    assert_eq!(recorded_state(&proven(facts.clone(), false)).attempt, None);
    facts.attempt = attempt(AttemptState::InProgress);
    assert_eq!(next(&adopting(), &facts), None);
}

#[test]
fn it_binds_anew_what_a_lost_key_left_unproven() {
    let unproven = Facts {
        record: RecordedClient::Unverified,
        secret: foreign(Owner::This, Binding::Invalid),
        adoption: proof(true),
        ..kept()
    };
    assert_eq!(next(&plain(), &unproven), Some(Step::Adopt(id())));
    let proven = proven(unproven, true);
    assert_eq!(next(&plain(), &proven), Some(Step::WriteSecret(id())));
    assert_eq!(recorded_state(&proven).client, Some(id()));
}

#[test]
fn of_two_objects_with_one_client_the_older_keeps_it_and_neither_deactivates_it() {
    let facts = Facts {
        conflict: Conflict::WithOlder,
        vendor: found(vec![]),
        ..kept()
    };
    assert_eq!(next(&plain(), &facts), None);
    assert_eq!(ready(&plain(), &facts).1, Reason::ClientInUse);
    for conflict in [Conflict::WithOlder, Conflict::WithYounger] {
        let deleting = Facts {
            deleting: true,
            conflict,
            ..kept()
        };
        assert_eq!(next(&plain(), &deleting), Some(Step::Release));
    }
}
