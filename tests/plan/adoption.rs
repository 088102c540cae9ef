//! Adoption: who proves a client by its secret may take it, and nobody else.

use provident_operator::api::{OAuthClientSpec, Reason};
use provident_operator::plan::{
    Adoption, Binding, Content, Known, Owner, Record, Rival, SecretSeen, Seen, Step, client, next,
    records,
};
use serde_json::json;

use crate::{attempt, found, fresh, id, kept, plain, ready, spec};

fn adopting() -> OAuthClientSpec {
    spec(json!({ "adoption": { "clientId": "c1", "secretKeyRef": { "name": "s", "key": "k" } } }))
}

fn proof(in_place: bool) -> Adoption {
    Adoption::Proof {
        client: id(),
        in_place,
    }
}

fn proven(seen: Seen, in_place: bool) -> Seen {
    Seen {
        adoption: Adoption::Proven {
            client: id(),
            in_place,
        },
        vendor: found(vec![]),
        ..seen
    }
}

fn foreign(owner: Owner, binding: Binding) -> SecretSeen {
    SecretSeen::Present {
        owner,
        binding,
        content: Content::Stale,
    }
}

#[test]
fn it_is_never_a_create_and_never_without_a_proof() {
    assert_eq!(next(&adopting(), &fresh()), None);
    let refused = Seen {
        adoption: Adoption::Refused(Reason::AdoptionRejected, "spec.adoption: no".to_owned()),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &refused), None);
    assert_eq!(ready(&adopting(), &refused).1, Reason::AdoptionRejected);
}

#[test]
fn it_takes_the_finalizer_then_asks_then_writes_the_secret() {
    let mut seen = Seen {
        adoption: proof(false),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &seen), Some(Step::AddFinalizer));
    seen.finalizer = true;
    assert_eq!(next(&adopting(), &seen), Some(Step::Adopt(id())));
    assert_eq!(client(&seen), None, "not before it is proven");
    let seen = proven(seen, false);
    assert_eq!(next(&adopting(), &seen), Some(Step::WriteSecret(id())));
    assert_eq!(records(&seen).client, Some(id()));
}

#[test]
fn the_very_secret_that_proves_it_is_taken_over_and_no_other() {
    for (owner, in_place, step) in [
        (Owner::None, true, Some(Step::Adopt(id()))),
        (Owner::None, false, None),
        (Owner::Other, false, None),
    ] {
        let seen = Seen {
            finalizer: true,
            adoption: proof(in_place),
            secret: foreign(owner, Binding::Missing),
            ..fresh()
        };
        assert_eq!(next(&adopting(), &seen), step, "{owner:?} {in_place}");
        if step.is_none() {
            assert_eq!(ready(&adopting(), &seen).1, Reason::SecretConflict);
        } else {
            let write = Some(Step::WriteSecret(id()));
            assert_eq!(next(&adopting(), &proven(seen, in_place)), write);
        }
    }
}

#[test]
fn it_ends_a_hold_but_does_not_cut_into_a_create_that_may_run() {
    let mut seen = Seen {
        finalizer: true,
        attempt: attempt(Known::Over),
        adoption: proof(false),
        ..fresh()
    };
    assert_eq!(next(&adopting(), &seen), Some(Step::Adopt(id())));
    assert_eq!(records(&proven(seen.clone(), false)).attempt, None);
    seen.attempt = attempt(Known::MayRun);
    assert_eq!(next(&adopting(), &seen), None);
}

#[test]
fn it_binds_anew_what_a_lost_key_left_unproven() {
    let unproven = Seen {
        record: Record::Unproven,
        secret: foreign(Owner::This, Binding::Invalid),
        adoption: proof(true),
        ..kept()
    };
    assert_eq!(next(&plain(), &unproven), Some(Step::Adopt(id())));
    let proven = proven(unproven, true);
    assert_eq!(next(&plain(), &proven), Some(Step::WriteSecret(id())));
    assert_eq!(records(&proven).client, Some(id()));
}

#[test]
fn of_two_objects_with_one_client_the_older_keeps_it_and_neither_deactivates_it() {
    let seen = Seen {
        rival: Rival::Older,
        vendor: found(vec![]),
        ..kept()
    };
    assert_eq!(next(&plain(), &seen), None);
    assert_eq!(ready(&plain(), &seen).1, Reason::ClientInUse);
    for rival in [Rival::Older, Rival::Younger] {
        let deleting = Seen {
            deleting: true,
            rival,
            ..kept()
        };
        assert_eq!(next(&plain(), &deleting), Some(Step::Release));
    }
}
