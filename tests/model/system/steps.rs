//! The steps of the plan, each carried out as one request, and the reply to a create.

use provident_core::api::Reason;
use provident_core::plan::{Found, Step, Vendor, differing};
use provident_core::vendor::outcome::{Outcome, Refusal, Reply, classify};

use super::mistakes::Mistake;
use super::names::{answered, attempt_no, client_id, client_no, declared};
use super::process::{Memory, Progress, Verified};
use super::properties::{Broken, excuse};
use super::requests::{abandon, pass, replace_secret, write};
use super::world::{Claim, Client, ClientNo, FOREIGN, Object, Secret, Uid, World};
use super::{Luck, Row, System, adoption, rotation};

pub fn take(system: &System, world: &mut World, p: usize, step: &Step, luck: Luck) {
    let to_vendor = matches!(
        step,
        Step::Adopt(_) | Step::Verify(_) | Step::Update(..) | Step::Deactivate(_)
    );
    match luck {
        Luck::Good => {}
        _ if to_vendor => world.left.vendor -= 1,
        _ => world.left.api -= 1,
    }
    let uid = pass(world, p).view.uid;
    match step {
        Step::Preflight if luck == Luck::Refused => {
            pass(world, p).stop = Some(Reason::SecretWriteDenied);
        }
        Step::Preflight if pass(world, p).view.client.is_none() && world.secret.is_some() => {
            abandon(world, p);
        }
        // The dry run carries the version that was read.
        Step::Preflight if !pass(world, p).secret_current => abandon(world, p),
        Step::Preflight => {
            let pass = pass(world, p);
            pass.preflight = true;
            pass.permit = true;
        }
        Step::AddFinalizer => {
            write(world, p, luck, false, |object| object.finalizer = true);
        }
        Step::Claim { retry_of } => {
            let claim = Claim {
                id: world.attempts,
                retry_of: retry_of.as_ref().map(attempt_no),
            };
            claim_attempt(system, world, p, claim, luck);
        }
        Step::Adopt(id) => adoption::adopt(system, world, p, client_no(id), luck),
        Step::RecordRotation(token) => rotation::record(system, world, p, token, luck),
        Step::Rotate(id) => rotation::send(system, world, p, client_no(id)),
        Step::RestartWorkloads => unreachable!("a restart has no part in any promise here"),
        Step::Create => send(world, p),
        Step::Verify(id) => verify(system, world, p, client_no(id), luck),
        Step::Update(id, _) => update(world, p, client_no(id), luck),
        Step::WriteSecret(id) => write_secret(world, p, client_no(id), luck),
        Step::Deactivate(id) => deactivate(system, world, p, client_no(id), luck),
        Step::DisownSecret => {
            let disowned = match pass(world, p).secret {
                Some(Secret::Ours {
                    client,
                    no,
                    bound,
                    verified,
                    ..
                }) => Some(Secret::Ours {
                    owner: None,
                    client,
                    no,
                    bound,
                    verified,
                }),
                Some(Secret::Forged { .. }) => Some(Secret::Forged { owner: None }),
                other => other,
            };
            replace_secret(world, p, luck, disowned);
        }
        Step::Release => {
            let current = pass(world, p).current;
            if current && luck != Luck::RequestLost {
                if in_flight_for(world, uid) {
                    world.broken.insert(Broken::PlaceGone);
                }
                let view = pass(world, p).view;
                world.store_object(Some(p), None);
                if view.spec.retain || world.definition_going {
                    // `Retain` asks for the client to be left alone.
                    if let Some(client) = view.client {
                        world.client(client).excused = true;
                    }
                    excuse(world);
                }
            }
            abandon(world, p);
        }
    }
}

fn claim_attempt(system: &System, world: &mut World, p: usize, claim: Claim, luck: Luck) {
    let pass = pass(world, p);
    let uid = pass.view.uid;
    let unclaimed = system.mistake == Some(Mistake::NoClaim);
    if unclaimed {
        pass.view.attempt = Some(claim);
    }
    world.attempts += 1;
    world.processes[p].memory.push(Memory {
        uid,
        id: claim.id,
        retry_of: claim.retry_of,
        state: Progress::Unsent,
    });
    let blind = system.mistake == Some(Mistake::StatusWithoutVersion);
    if unclaimed || write(world, p, luck, blind, |object| object.attempt = Some(claim)) {
        self::pass(world, p).in_time = true;
    }
}

fn send(world: &mut World, p: usize) {
    let pass = pass(world, p);
    let (uid, proven) = (pass.view.uid, pass.preflight);
    if let Some(id) = pass.view.attempt.map(|claim| claim.id) {
        world.processes[p].learn(id, Progress::InFlight);
    }
    if !proven {
        world.broken.insert(Broken::SentUnproven);
    }
    world.tally[usize::from(uid)].sent += 1;
}

pub fn answer(system: &System, world: &mut World, p: usize, row: Row) {
    let Some(memory) = world.processes[p].in_flight() else {
        return;
    };
    if row != Row::Created {
        world.left.vendor -= 1;
    }
    if row.proves_nothing_was_made() {
        world.tally[usize::from(memory.uid)].sent -= 1;
    }
    let made = u8::try_from(world.clients.len()).unwrap_or(u8::MAX);
    let reply = row.reply(client_id(made), client_id(FOREIGN));
    let dropped = system.mistake == Some(Mistake::ClaimDroppedOn503);
    let outcome = match &reply {
        Reply::Answer { status: 503, .. } if dropped => Outcome::NotCreated(Refusal::Other),
        _ => classify(&reply, |client| *client == client_id(FOREIGN)),
    };
    let state = match outcome {
        Outcome::NotCreated(refusal) => {
            pass(world, p).stop = Some(match refusal {
                Refusal::Invalid => Reason::SpecRejected,
                Refusal::Unauthorized => Reason::ConnectionNotReady,
                Refusal::Throttled => Reason::VendorThrottled,
                Refusal::Unreachable | Refusal::Other => Reason::VendorUnavailable,
            });
            Progress::NotCreated(refusal)
        }
        Outcome::Unknown(doubt) => Progress::Unknown(doubt),
        Outcome::Created(id) => {
            world.clients.push(Client::new(true));
            let client = client_no(&id);
            let pass = pass(world, p);
            pass.vendor = found(&pass.view, true, row == Row::Created);
            pass.verified = Some(Verified {
                client,
                active: true,
                no: 0,
            });
            Progress::Created(client)
        }
    };
    world.processes[p].learn(memory.id, state);
}

pub fn found(view: &Object, active: bool, credentials: bool) -> Vendor {
    Vendor::Found(Found {
        differs: differing(declared(view.spec), &answered(active)),
        updated: false,
        credentials,
        active,
        rotated: false,
    })
}

fn verify(system: &System, world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    call(world, client);
    if luck != Luck::Good {
        pass(world, p).stop = Some(Reason::VendorUnavailable);
        return;
    }
    if system.mistake == Some(Mistake::VerifiedInVain) {
        world.processes[p].verified(true);
    }
    let view = pass(world, p).view;
    let vendor = if world.client(client).gone {
        Vendor::Missing
    } else {
        rotation::answered(world, p, client, &view)
    };
    pass(world, p).vendor = vendor;
}

fn update(world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    let view = pass(world, p).view;
    if !world
        .object
        .is_some_and(|o| o.uid == view.uid && !o.deleting)
    {
        return abandon(world, p);
    }
    call(world, client);
    let Client { active, gone, .. } = *world.client(client);
    if luck != Luck::RequestLost && !gone {
        world.client(client).active = view.spec.active.unwrap_or(active);
    }
    if luck != Luck::Good {
        pass(world, p).stop = Some(Reason::VendorUnavailable);
        return;
    }
    let mut vendor = rotation::answered(world, p, client, &view);
    if let Vendor::Found(found) = &mut vendor {
        found.updated = true;
    }
    pass(world, p).vendor = if gone { Vendor::Missing } else { vendor };
}

fn deactivate(system: &System, world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    // Read again right before: the policy may have become Retain, or the object be gone and its client taken up.
    let unread = system.mistake == Some(Mistake::DeactivateUnread);
    if !pass(world, p).current && !unread {
        return abandon(world, p);
    }
    // The definition is read right before, too.
    if world.definition_going && system.mistake != Some(Mistake::UninstallUnseen) {
        pass(world, p).definition_going = true;
        return;
    }
    call(world, client);
    if luck != Luck::RequestLost {
        let uid = pass(world, p).view.uid;
        let asked_for = |o: Object| o.uid == uid && o.deleting && !o.spec.retain;
        if !world.object.is_some_and(asked_for) || world.definition_going {
            world.broken.insert(Broken::KeptDeactivated);
        }
        world.client(client).active = false;
        world.wake();
    }
    let gone = world.client(client).gone;
    let pass = pass(world, p);
    if luck == Luck::Good {
        pass.vendor = if gone {
            Vendor::Missing
        } else {
            Vendor::Deactivated
        };
    } else {
        pass.stop = Some(Reason::VendorUnavailable);
    }
}

pub fn call(world: &mut World, client: ClientNo) {
    world.efforts += u8::from(world.calm);
    if client == FOREIGN {
        world.broken.insert(Broken::ForeignCall);
    }
}

fn write_secret(world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    let view = pass(world, p).view;
    let fresh = world.processes[p].answer(view.uid).is_some();
    let there = world
        .object
        .is_some_and(|o| o.uid == view.uid && !o.deleting);
    if !fresh && !there {
        return abandon(world, p);
    }
    let Some(Verified { no, .. }) = pass(world, p).verified else {
        return abandon(world, p);
    };
    let secret = Secret::Ours {
        owner: Some(view.uid),
        client,
        no,
        bound: true,
        verified: false,
    };
    replace_secret(world, p, luck, Some(secret));
}

fn in_flight_for(world: &World, uid: Uid) -> bool {
    let sent = |m: &Memory| m.uid == uid && m.state == Progress::InFlight;
    world.processes.iter().any(|q| q.memory.iter().any(sent))
}
