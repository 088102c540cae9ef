//! The create protocol: the claim, the request, and its reply.

use provident_core::api::Reason;
use provident_core::plan::{AutoRetry, Observation, Step};
use provident_core::vendor::outcome::{Ambiguity, Outcome, Refusal, Reply, classify};

use super::apply::{take_in, why};
use super::mistakes::Mistake;
use super::names::{attempt_id, client_id, client_no};
use super::object::Claim;
use super::observe;
use super::process::{OwnAttempt, Progress};
use super::properties::Broken;
use super::reply::Row;
use super::requests::{pass, write};
use super::world::{Client, FOREIGN, Uid, World};
use super::{Fault, System};

/// Writes the claim. `None` if the pass ended over it.
pub fn claim(
    system: &System,
    world: &mut World,
    p: usize,
    claim: Claim,
    fault: Fault,
) -> Option<Observation> {
    let pass = pass(world, p);
    let uid = pass.view.uid;
    let unclaimed = system.mistake == Some(Mistake::NoClaim);
    if unclaimed {
        pass.view.attempt = Some(claim);
    }
    world.attempts += 1;
    world.processes[p].attempts.push(OwnAttempt {
        uid,
        id: claim.id,
        retry_of: claim.retry_of,
        progress: Progress::Unsent,
    });
    let unguarded = system.mistake == Some(Mistake::StatusWithoutVersion);
    let written = unclaimed
        || write(world, p, fault, unguarded, |object| {
            object.attempt = Some(claim);
        });
    // An id that was not stored is used again: that merges equal states.
    if !unclaimed && world.object.and_then(|object| object.attempt) != Some(claim) {
        world.attempts -= 1;
        world.processes[p].forget(claim.id);
    }
    if !written {
        return None;
    }
    self::pass(world, p).claim_recent = true;
    Some(Observation::Claimed(attempt_id(claim.id)))
}

/// Sends the create; its reply is an action of its own. An observation says that it was not sent.
pub fn send(system: &System, world: &mut World, p: usize) -> Option<Observation> {
    let pass = pass(world, p);
    let uid = pass.view.uid;
    let permit = std::mem::take(&mut pass.permit);
    let unproven = system.mistake == Some(Mistake::PreflightSkipped);
    let claim = pass.view.attempt.filter(|_| pass.claim_recent);
    let Some(claim) = claim.filter(|_| permit || unproven) else {
        return Some(Observation::NotSent);
    };
    world.processes[p].note(claim.id, Progress::InFlight);
    if !permit {
        world.broken.insert(Broken::SentUnproven);
    }
    world.tally[usize::from(uid)].sent += 1;
    None
}

/// The reply to the create arrives.
pub fn answer(system: &System, world: &mut World, p: usize, row: Row) {
    let Some(attempt) = world.processes[p].in_flight() else {
        return;
    };
    if row != Row::Created {
        world.left.vendor -= 1;
    }
    if row.proves_nothing_created() {
        world.tally[usize::from(attempt.uid)].sent -= 1;
    }
    let created = u8::try_from(world.clients.len()).unwrap_or(u8::MAX);
    let reply = row.reply(client_id(created), client_id(FOREIGN));
    let dropped = system.mistake == Some(Mistake::ClaimDroppedOn503);
    let outcome = match &reply {
        Reply::Answer { status: 503, .. } if dropped => Outcome::NotCreated(Refusal::Other),
        _ => classify(&reply, |client| *client == client_id(FOREIGN)),
    };
    let (progress, observation) = match outcome {
        Outcome::NotCreated(refusal) => {
            let reason = match refusal {
                Refusal::Invalid => Reason::SpecRejected,
                Refusal::Unauthorized => Reason::ConnectionNotReady,
                Refusal::Throttled => Reason::VendorThrottled,
                Refusal::Unreachable | Refusal::Other => Reason::VendorUnavailable,
            };
            pass(world, p).rejected = refusal == Refusal::Invalid;
            let observation = Observation::NotCreated(refusal, why(reason));
            (Progress::NotCreated(refusal), observation)
        }
        Outcome::Unknown(ambiguity) => {
            let retried = system.retries_itself
                && attempt.retry_of.is_none()
                && ambiguity == Ambiguity::NoAnswer;
            let observation = Observation::CreateUnknown {
                ambiguity,
                auto_retry: if retried {
                    AutoRetry::Early
                } else {
                    AutoRetry::No
                },
            };
            (Progress::Unknown(ambiguity), observation)
        }
        Outcome::Created(id) => {
            world.clients.push(Client::new(true));
            let client = client_no(&id);
            let answer = observe::answer(system, world, p, client, row == Row::Created);
            (Progress::Created(client), Observation::Created(id, answer))
        }
    };
    world.processes[p].note(attempt.id, progress);
    take_in(system, pass(world, p), &Step::Create, observation);
}

/// Whether a create for the object is in flight.
pub fn in_flight_for(world: &World, uid: Uid) -> bool {
    let sent = |attempt: &OwnAttempt| attempt.uid == uid && attempt.progress == Progress::InFlight;
    world.processes.iter().any(|q| q.attempts.iter().any(sent))
}
