//! The facts at the beginning of a pass, as the program's `observe` gathers them, and the comparisons that answers and
//! Secrets go through before the plan sees them.

use std::sync::Arc;

use provident_core::api::Reason;
use provident_core::plan::{
    self, AdoptionFact, Attempt, AttemptState, AutoRetry, Binding, ClientAnswer, Conflict,
    ConnectionFacts, Content, Facts, Field, Owner, RecordedClient, SecretFacts, Vendor, differing,
};
use provident_core::vendor::outcome::Ambiguity;
use provident_core::vendor::types::ClientId;

use super::mistakes::Mistake;
use super::names::{attempt_id, client_id, declared, returned};
use super::object::{Object, Secret, Shown};
use super::process::{Pass, Process, Verified};
use super::requests::pass;
use super::world::{Client, ClientNo, Uid, World};
use super::{System, rotation};

/// A pass over this view. `current` says that the API server still stores it.
pub fn begin(system: &System, world: &World, p: usize, view: Object, current: bool) -> Pass {
    let process = &world.processes[p];
    let known = known_secret(world.secret, &view);
    let facts = facts(system, world, process, &view, known);
    Pass {
        resolving: process.unstored(view.uid).is_some(),
        facts: Arc::new(facts),
        view,
        view_current: current,
        secret: known,
        secret_read: false,
        secret_current: true,
        verified: None,
        outdated: false,
        permit: false,
        claim_recent: false,
        record_recent: false,
        awaits_reply: false,
        restarted: false,
        rejected: false,
    }
}

/// A Secret of the version that status records for this generation is known without reading it.
fn known_secret(secret: Option<Secret>, view: &Object) -> Option<Secret> {
    let current = match view.shown {
        Shown::Pending => false,
        Shown::Ready | Shown::Held | Shown::Rejected | Shown::Waiting | Shown::NotReady => {
            view.observed && view.bound && view.client.is_some()
        }
    };
    secret.filter(|secret| current && matches!(secret, Secret::Ours { verified: true, .. }))
}

fn facts(
    system: &System,
    world: &World,
    process: &Process,
    view: &Object,
    known: Option<Secret>,
) -> Facts {
    let mistake = system.mistake;
    let record = match view.client {
        Some(client) if view.bound || mistake == Some(Mistake::UnprovenUsed) => {
            RecordedClient::Bound(client_id(client))
        }
        Some(_) => RecordedClient::Unverified,
        None => RecordedClient::Empty,
    };
    let attempt = attempt(process, view, mistake)
        .filter(|_| !(view.deleting && mistake == Some(Mistake::ReleaseDuringAttempt)));
    let unseen = mistake == Some(Mistake::UninstallUnseen);
    Facts {
        deleting: view.deleting,
        finalizer: view.finalizer,
        ready: view.shown == Shown::Ready,
        was_ready: view.shown == Shown::Ready,
        rejected: view.shown == Shown::Rejected,
        due: process.due,
        verification_requested: false,
        rotation: rotation::observe(process, view, &record, mistake),
        record,
        auto_retry: auto_retry(system, attempt.as_ref()),
        attempt,
        retry: view.retry.map(attempt_id),
        secret: known.map_or(SecretFacts::Unread, |secret| {
            secret_facts(secret, view.uid, Content::Current)
        }),
        connection: if world.connected {
            ConnectionFacts::Usable
        } else {
            ConnectionFacts::Unusable(Reason::ConnectionNotReady, String::new())
        },
        breaker_open: false,
        stopping: process.stopping,
        preflight: mistake == Some(Mistake::PreflightSkipped),
        vendor: Vendor::NotAsked,
        updated: false,
        not_applied: if view.not_applied {
            vec![Field::IsActive]
        } else {
            Vec::new()
        },
        adoption: AdoptionFact::None,
        conflict: Conflict::None,
        restart: false,
        contested: false,
        crd_terminating: view.deleting && !view.spec.retain && world.crd_terminating && !unseen,
        blocked: None,
    }
}

/// The attempt that status names, else one of this process that status must name.
fn attempt(process: &Process, view: &Object, mistake: Option<Mistake>) -> Option<Attempt> {
    let recorded = view.attempt.map(|claim| (claim.id, claim.retry_of));
    let remembered = || {
        // The newest, as in the program: an older one is held, and this one retried it.
        let mut newest_first = process.attempts.iter().rev();
        let sent = newest_first.find(|own| own.uid == view.uid && own.may_have_created())?;
        let forgotten = mistake == Some(Mistake::EmptiedStatusForgotten);
        (view.client.is_none() && !forgotten).then_some((sent.id, sent.retry_of))
    };
    recorded.or_else(remembered).map(|(id, retry_of)| Attempt {
        id: attempt_id(id),
        retry_of: retry_of
            .filter(|_| mistake != Some(Mistake::RetriedForEver))
            .map(attempt_id),
        state: process.attempt_state(id, view, mistake),
    })
}

/// A pass that finds an attempt already unknown retries it at once: the waits before that are over, since whatever may
/// happen during them also happens as an action of another process.
fn auto_retry(system: &System, attempt: Option<&Attempt>) -> AutoRetry {
    match attempt {
        Some(Attempt {
            retry_of: None,
            state: AttemptState::Abandoned | AttemptState::Unknown(Ambiguity::NoAnswer),
            ..
        }) if system.retries_itself => AutoRetry::Due,
        _ => AutoRetry::No,
    }
}

/// What a Secret is to the object of this uid.
pub fn secret_facts(secret: Secret, uid: Uid, content: Content) -> SecretFacts {
    let owner = match secret {
        Secret::Stranger => Owner::Other,
        Secret::Ours { .. } | Secret::Forged { .. } | Secret::Handmade(_) => match secret.owner() {
            None => Owner::None,
            Some(owner) if owner == uid => Owner::This,
            Some(_) => Owner::Former,
        },
    };
    let binding = match secret {
        Secret::Ours {
            client,
            bound: true,
            ..
        } => Binding::Valid(client_id(client)),
        Secret::Ours { .. } | Secret::Forged { .. } => Binding::Invalid,
        Secret::Handmade(_) | Secret::Stranger => Binding::Missing,
    };
    SecretFacts::Present {
        owner,
        binding,
        content,
    }
}

/// The pass reads the Secret now, and compares it with the credentials at hand.
pub fn read_secret(system: &System, world: &mut World, p: usize) -> SecretFacts {
    let secret = world.secret;
    let pass = pass(world, p);
    pass.secret = secret;
    pass.secret_read = true;
    pass.secret_current = true;
    compare(system, pass)
}

/// The Secret as this pass knows it, compared with the credentials at hand.
pub fn compare(system: &System, pass: &Pass) -> SecretFacts {
    let Some(secret) = pass.secret else {
        return if pass.secret_read {
            SecretFacts::Absent
        } else {
            pass.facts.secret.clone()
        };
    };
    let content = match (secret, pass.verified) {
        _ if system.mistake == Some(Mistake::SecretUnread) => Content::Current,
        (
            Secret::Ours {
                owner,
                client,
                no,
                bound: true,
                ..
            },
            Some(verified),
        ) if owner == Some(pass.view.uid) && (client, no) == (verified.client, verified.no) => {
            Content::Current
        }
        (_, Some(_)) => Content::Stale,
        (Secret::Ours { verified: true, .. }, None) if pass.view.bound => Content::Current,
        (_, None) => Content::Unknown,
    };
    secret_facts(secret, pass.view.uid, content)
}

/// The vendor's client as it is now, compared with the spec, the Secret and the open rotation. `credentials` says whether
/// the answer contains the client's secret.
pub fn answer(
    system: &System,
    world: &mut World,
    p: usize,
    client: ClientNo,
    credentials: bool,
) -> ClientAnswer {
    let Client { active, shown, .. } = *world.client(client);
    let view = pass(world, p).view;
    let rotation = rotation::compare(&mut world.processes[p], &view, shown, system.mistake);
    let pass = pass(world, p);
    if credentials {
        pass.verified = Some(Verified {
            client,
            active,
            no: shown,
        });
        pass.outdated = false;
    }
    ClientAnswer {
        differs: differing(declared(view.spec), &returned(active)),
        credentials,
        active,
        secret: compare(system, pass),
        rotation,
        restart: system.restarts && !pass.restarted && view.stored.is_some_and(|no| no != shown),
    }
}

/// The client that the Secret is bound to, if this object may take it up.
pub fn bound_to(secret: Option<Secret>, uid: Uid) -> Option<ClientId> {
    let facts = secret_facts(secret?, uid, Content::Unknown);
    match plan::take_up(&facts) {
        plan::TakeUp::Client(id) => Some(id),
        plan::TakeUp::Absent
        | plan::TakeUp::Mismatch
        | plan::TakeUp::Unproven(_)
        | plan::TakeUp::Former
        | plan::TakeUp::Stranger => None,
    }
}
