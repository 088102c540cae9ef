//! What a process does: the loop around the plan, one request or reply at a time.

use provident_operator::api::{ConditionStatus, Reason};
use provident_operator::plan::{
    self, Fate, Found, Retry, Standing, Step, Stop, TakeUp, Texts, Vendor, diff,
};
use provident_operator::provident::outcome::{Outcome, Refusal, Reply, classify};

use super::process::{
    Memory, Pass, Sent, answered, attempt_id, attempt_no, client_id, client_no, declared,
    restart, secret_seen,
};
use super::properties::{Broken, excuse};
use super::world::{Claim, Client, ClientNo, FOREIGN, Object, Secret, Shown, World};
use super::{Action, From, Luck, Mistake, Row, System};

/// Everything that process `p` may do now.
pub fn actions(system: &System, world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let left = &world.left;
    let Some(pass) = &process.pass else {
        return between(world, p, actions);
    };
    if !pass.read {
        actions.push(Action::Read(p));
        return;
    }
    if process.in_flight().is_some() {
        actions.push(Action::Answer(p, Row::Created));
        if left.vendor > 0 {
            actions.extend(system.replies.iter().map(|row| Action::Answer(p, *row)));
        }
        return;
    }
    let Some(step) = next(system, world, p) else {
        actions.push(Action::Report(p, Luck::Good));
        if left.api > 0 && pass.current && report(system, world, p).is_some() {
            for luck in [Luck::AnswerLost, Luck::RequestLost] {
                actions.push(Action::Report(p, luck));
            }
        }
        return;
    };
    let (budget, lucks): (u8, &[Luck]) = match step {
        Step::Create => (0, &[]),
        Step::Preflight => (left.api, &[Luck::Refused]),
        Step::WriteSecret(_) => (
            left.api,
            &[Luck::AnswerLost, Luck::RequestLost, Luck::Refused],
        ),
        Step::DisownSecret => (left.api, &[Luck::AnswerLost, Luck::RequestLost]),
        Step::AddFinalizer | Step::Claim { .. } | Step::Release => {
            let budget = if pass.current { left.api } else { 0 };
            (budget, &[Luck::AnswerLost, Luck::RequestLost])
        }
        Step::Verify(_) => (left.vendor, &[Luck::AnswerLost]),
        Step::Update(..) | Step::Deactivate(_) => {
            (left.vendor, &[Luck::AnswerLost, Luck::RequestLost])
        }
    };
    if pass.in_time && left.api > 0 && matches!(step, Step::Create | Step::WriteSecret(_)) {
        actions.push(Action::Dawdle(p));
    }
    for luck in lucks.iter().filter(|_| budget > 0) {
        actions.push(Action::Take(p, step.clone(), *luck));
    }
    actions.push(Action::Take(p, step, Luck::Good));
}

/// What it may do while no pass runs.
fn between(world: &World, p: usize, actions: &mut Vec<Action>) {
    let process = &world.processes[p];
    let uid = world.object.map(|object| object.uid);
    for memory in &process.memory {
        match memory.state {
            Sent::Created(_) if uid != Some(memory.uid) => {
                actions.push(Action::Decide(p, memory.id));
            }
            Sent::Late(_) if world.connected => {
                actions.push(Action::Disable(p, memory.id, Luck::Good));
                if world.left.vendor > 0 {
                    actions.push(Action::Disable(p, memory.id, Luck::RequestLost));
                }
            }
            _ => {}
        }
    }
    let late = |m: &Memory| matches!(m.state, Sent::Late(_));
    let storing = process.memory.iter().any(late);
    if process.awake && world.object.is_some() && !storing {
        actions.push(Action::Begin(p, From::Server));
    }
    if let Some(cache) = process.cache
        && Some(cache) != world.object
        && world.left.stale > 0
        && process.memory.iter().all(|memory| memory.uid != cache.uid)
    {
        actions.push(Action::Begin(p, From::Cache));
    }
    let foreign = world.object.and_then(|object| object.attempt);
    if let Some(Claim { id, .. }) = foreign
        && process.over != Some(id)
        && process.remembers(id).is_none()
        && !may_be_under_way(world, id)
    {
        actions.push(Action::Watch(p));
    }
    let unstored = |m: &Memory| matches!(m.state, Sent::Created(_) | Sent::Late(_));
    if process.stopping && !process.memory.iter().any(unstored) {
        actions.push(Action::Leave(p));
    }
}

/// A create is under way for less than two minutes after its claim.
fn may_be_under_way(world: &World, id: u8) -> bool {
    world.processes.iter().any(|process| {
        let in_time = process.pass.as_ref().is_some_and(|pass| pass.in_time);
        in_time && process.remembers(id).is_some()
    })
}

/// Lets process `p` do it. False if this is not an action of a process.
pub fn apply(system: &System, world: &mut World, action: &Action) -> bool {
    match action {
        Action::Begin(p, from) => begin(world, *p, *from),
        Action::Read(p) => read(system, world, *p),
        Action::Take(p, step, luck) => take(system, world, *p, step, *luck),
        Action::Answer(p, row) => answer(system, world, *p, *row),
        Action::Dawdle(p) => {
            world.left.api -= 1;
            let pass = pass(world, *p);
            pass.in_time = false;
            pass.vendor = Vendor::NotAsked;
        }
        Action::Report(p, luck) => end(system, world, *p, *luck),
        Action::Decide(p, id) => {
            if let Some(memory) = world.processes[*p].remembers(*id).copied() {
                decide(system, world, *p, memory, &Standing::Gone);
            }
        }
        Action::Disable(p, id, luck) => disable(system, world, *p, *id, *luck),
        Action::Leave(p) => restart(&mut world.processes[*p]),
        Action::Watch(p) => {
            let attempt = world.object.and_then(|object| object.attempt);
            let process = &mut world.processes[*p];
            process.over = attempt.map(|claim| claim.id);
            process.awake = true;
        }
        _ => return false,
    }
    true
}

fn begin(world: &mut World, p: usize, from: From) {
    let process = &mut world.processes[p];
    let view = match from {
        From::Server => world.object,
        From::Cache => process.cache,
    };
    if from == From::Cache {
        world.left.stale -= 1;
    }
    let Some(view) = view else {
        return;
    };
    process.pass = Some(Pass::over(view, from == From::Server));
    if from == From::Server {
        // An attempt of its own that the object does not name any more needs no memory.
        let named = view.attempt.map(|claim| claim.id);
        process.memory.retain(|memory| {
            let open = matches!(memory.state, Sent::Created(_) | Sent::Late(_));
            open || named == Some(memory.id)
        });
    }
    if world.left.stale == 0 {
        for process in &mut world.processes {
            process.cache = None;
        }
    } else {
        world.processes[p].cache = Some(view);
    }
}

fn read(system: &System, world: &mut World, p: usize) {
    let secret = world.secret;
    let current = pass(world, p);
    current.read = true;
    current.secret = secret;
    current.secret_current = true;
    let view = current.view;
    let Some(memory) = world.processes[p].answer(view.uid) else {
        return;
    };
    let bound = secret.and_then(|secret| {
        let seen = secret_seen(secret, view.uid, plan::Content::Unknown);
        match plan::take_up(&seen) {
            TakeUp::Client(id) => Some(id),
            _ => None,
        }
    });
    let standing = Standing::There {
        client: view.client.map(client_id),
        attempt: view.attempt.map(|claim| attempt_id(claim.id)),
        secret: bound,
    };
    decide(system, world, p, memory, &standing);
}

/// What becomes of an answer that is not recorded yet.
fn decide(system: &System, world: &mut World, p: usize, memory: Memory, standing: &Standing) {
    let Sent::Created(client) = memory.state else {
        return;
    };
    let kept = is_kept(world, client);
    let fate = plan::fate(
        &attempt_id(memory.id),
        &client_id(client),
        standing,
        kept,
    );
    match fate {
        Fate::Stored | Fate::Kept => world.processes[p].forget(memory.id),
        // The plan is told that the vendor was not asked, so that this goes to status first, by its version: by now
        // another process may have taken the attempt for over. Only the pass that asked may write the Secret first.
        Fate::Store => {
            if system.mistake == Some(Mistake::SecretFirstTooLate) {
                let pass = pass(world, p);
                pass.vendor = found(&pass.view, true, true);
                pass.verified = Some((client, true));
            }
        }
        Fate::Late => {
            world.processes[p].learn(memory.id, Sent::Late(client));
            world.processes[p].pass = None;
        }
    }
}

/// An object without deletionTimestamp records the client, or a Secret that has no owner or such an object as owner.
fn is_kept(world: &World, client: ClientNo) -> bool {
    let living = world.object.filter(|object| !object.deleting);
    let recorded = living.is_some_and(|object| object.bound && object.client == Some(client));
    let stored = match world.secret {
        Some(Secret::Ours {
            owner,
            client: held,
            ..
        }) => {
            let lives = |owner| living.is_some_and(|object| object.uid == owner);
            held == client && owner.is_none_or(lives)
        }
        _ => false,
    };
    recorded || stored
}

fn disable(system: &System, world: &mut World, p: usize, id: u8, luck: Luck) {
    if luck != Luck::Good {
        world.left.vendor -= 1;
        return;
    }
    let memory = world.processes[p].remembers(id).copied();
    if let Some(Memory {
        state: Sent::Late(client),
        ..
    }) = memory
    {
        // Time has passed since it was found to be late, so whether somebody keeps it is asked again.
        let kept = is_kept(world, client);
        if kept && system.mistake == Some(Mistake::LateUnasked) {
            world.broken.insert(Broken::KeptDeactivated);
            world.client(client).active = false;
        } else if !kept {
            world.client(client).active = false;
        }
        world.processes[p].forget(id);
        world.wake();
    }
}

/// The program's plan, with the mistake that is to be found.
fn next(system: &System, world: &World, p: usize) -> Option<Step> {
    let process = &world.processes[p];
    let pass = process.pass.as_ref()?;
    if pass.stop.is_some() {
        return None;
    }
    let mut seen = process.seen(pass, world.connected, system.mistake);
    if system.mistake == Some(Mistake::ReleaseDuringAttempt) && seen.deleting {
        seen.attempt = None;
    }
    plan::next(declared(pass.view.spec), &seen)
}

fn take(system: &System, world: &mut World, p: usize, step: &Step, luck: Luck) {
    let to_vendor = matches!(
        step,
        Step::Verify(_) | Step::Update(..) | Step::Deactivate(_)
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
        Step::Preflight if world.secret.is_some() => abandon(world, p),
        Step::Preflight => pass(world, p).preflight = true,
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
        Step::Create => send(world, p),
        Step::Verify(id) => verify(world, p, client_no(id), luck),
        Step::Update(id, _) => update(world, p, client_no(id), luck),
        Step::WriteSecret(id) => write_secret(world, p, client_no(id), luck),
        Step::Deactivate(id) => deactivate(system, world, p, client_no(id), luck),
        Step::DisownSecret => {
            let disowned = match pass(world, p).secret {
                Some(Secret::Ours {
                    client, verified, ..
                }) => Some(Secret::Ours {
                    owner: None,
                    client,
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
                let retain = pass(world, p).view.spec.retain;
                world.store_object(Some(p), None);
                if retain {
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
        state: Sent::Unsent,
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
        world.processes[p].learn(id, Sent::InFlight);
    }
    if !proven {
        world.broken.insert(Broken::SentUnproven);
    }
    world.tally[usize::from(uid)].sent += 1;
}

fn answer(system: &System, world: &mut World, p: usize, row: Row) {
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
            Sent::NotCreated(refusal)
        }
        Outcome::Unknown(doubt) => Sent::Unknown(doubt),
        Outcome::Created(id) => {
            world.clients.push(Client {
                active: true,
                gone: false,
                answered: true,
                excused: false,
            });
            let client = client_no(&id);
            let pass = pass(world, p);
            pass.vendor = found(&pass.view, true, row == Row::Created);
            pass.verified = Some((client, true));
            Sent::Created(client)
        }
    };
    world.processes[p].learn(memory.id, state);
}

fn found(view: &Object, active: bool, credentials: bool) -> Vendor {
    Vendor::Found(Found {
        differs: diff::differing(declared(view.spec), &answered(active)),
        updated: false,
        credentials,
        active,
    })
}

fn verify(world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    call(world, client);
    let Client { active, gone, .. } = *world.client(client);
    let pass = pass(world, p);
    if luck == Luck::Good && gone {
        pass.vendor = Vendor::Missing;
    } else if luck == Luck::Good {
        pass.vendor = found(&pass.view, active, true);
        pass.verified = Some((client, active));
    } else {
        pass.stop = Some(Reason::VendorUnavailable);
    }
}

fn update(world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    let view = pass(world, p).view;
    if !world.object.is_some_and(|o| o.uid == view.uid && !o.deleting) {
        return abandon(world, p);
    }
    call(world, client);
    let Client { active, gone, .. } = *world.client(client);
    if luck != Luck::RequestLost && !gone {
        world.client(client).active = view.spec.active.unwrap_or(active);
    }
    let active = world.client(client).active;
    let pass = pass(world, p);
    if luck == Luck::Good && gone {
        pass.vendor = Vendor::Missing;
    } else if luck == Luck::Good {
        pass.vendor = found(&view, active, true);
        if let Vendor::Found(found) = &mut pass.vendor {
            found.updated = true;
        }
        pass.verified = Some((client, active));
    } else {
        pass.stop = Some(Reason::VendorUnavailable);
    }
}

fn deactivate(system: &System, world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    // Read again right before: the policy may have become Retain, or the object be gone and its client taken up.
    let unread = system.mistake == Some(Mistake::DeactivateUnread);
    if !pass(world, p).current && !unread {
        return abandon(world, p);
    }
    call(world, client);
    if luck != Luck::RequestLost {
        let uid = pass(world, p).view.uid;
        let asked_for = |o: Object| o.uid == uid && o.deleting && !o.spec.retain;
        if !world.object.is_some_and(asked_for) {
            world.broken.insert(Broken::KeptDeactivated);
        }
        world.client(client).active = false;
        world.wake();
    }
    let gone = world.client(client).gone;
    let pass = pass(world, p);
    if luck == Luck::Good {
        pass.vendor = if gone { Vendor::Missing } else { Vendor::Deactivated };
    } else {
        pass.stop = Some(Reason::VendorUnavailable);
    }
}

fn call(world: &mut World, client: ClientNo) {
    if client == FOREIGN {
        world.broken.insert(Broken::ForeignCall);
    }
}

fn write_secret(world: &mut World, p: usize, client: ClientNo, luck: Luck) {
    let view = pass(world, p).view;
    let fresh = world.processes[p].answer(view.uid).is_some();
    let there = world.object.is_some_and(|o| o.uid == view.uid && !o.deleting);
    if !fresh && !there {
        return abandon(world, p);
    }
    let secret = Secret::Ours {
        owner: Some(view.uid),
        client,
        verified: false,
    };
    replace_secret(world, p, luck, Some(secret));
}

/// Writes the Secret with the version it was read in, or makes it if it was seen absent.
fn replace_secret(world: &mut World, p: usize, luck: Luck, secret: Option<Secret>) {
    if luck == Luck::Refused {
        pass(world, p).stop = Some(Reason::SecretWriteDenied);
        return;
    }
    let current = pass(world, p).secret_current;
    if luck == Luck::RequestLost || !current {
        return abandon(world, p);
    }
    let uid = pass(world, p).view.uid;
    let somebody_elses = match world.secret {
        Some(Secret::Stranger) => true,
        Some(Secret::Forged { owner }) => owner != Some(uid),
        _ => false,
    };
    if somebody_elses {
        world.broken.insert(Broken::ForeignSecret);
    }
    world.store_secret(Some(p), secret);
    if luck == Luck::AnswerLost {
        abandon(world, p);
    }
}

/// The status that the pass leads to, and whether it names the Secret's version; `None` if that is what stands there.
fn report(system: &System, world: &World, p: usize) -> Option<(Object, bool, bool)> {
    let process = &world.processes[p];
    let pass = process.pass.as_ref()?;
    let seen = process.seen(pass, world.connected, system.mistake);
    let stop = pass.stop.map(|reason| Stop {
        reason,
        message: String::new(),
        retry: Retry::Backoff,
    });
    let texts = Texts {
        namespace: "",
        name: "",
        secret: "",
        vendor_name: "",
        attempt_time: "",
    };
    let told = plan::report(declared(pass.view.spec), &seen, stop.as_ref(), texts);
    let records = plan::records(&seen);
    let mut object = pass.view;
    if let Some(client) = records.client {
        object.client = Some(client_no(&client));
        object.bound = true;
    }
    object.attempt = records.attempt.map(|id| {
        let id = attempt_no(&id);
        let put_back = Claim { id, retry_of: None };
        pass.view.attempt.filter(|c| c.id == id).unwrap_or(put_back)
    });
    let ready = |status: &ConditionStatus| *status == ConditionStatus::True;
    if let Some((status, reason, _)) = &told.ready {
        object.shown = match reason {
            _ if ready(status) => Shown::Ready,
            Reason::CreateOutcomeUnknown | Reason::AnswerNotNew => Shown::Held,
            Reason::SpecRejected => Shown::Rejected,
            _ => Shown::NotReady,
        };
    }
    let says_ready = told.ready.is_some_and(|(status, ..)| ready(&status));
    let stored = told.secret_ready.is_some_and(|(status, ..)| ready(&status));
    let verified = matches!(pass.secret, Some(Secret::Ours { verified: true, .. }));
    let marks = stored && !verified;
    (object != pass.view || marks).then_some((object, says_ready, marks))
}

/// Ends the pass with its one status write.
fn end(system: &System, world: &mut World, p: usize, luck: Luck) {
    let Some((object, says_ready, marks)) = report(system, world, p) else {
        let pass = pass(world, p);
        let passing = pass.stop.is_some_and(|reason| reason != Reason::SpecRejected);
        let awake = passing || !pass.current || !pass.secret_current;
        world.processes[p].awake = awake;
        world.processes[p].pass = None;
        return;
    };
    if luck != Luck::Good {
        world.left.api -= 1;
    }
    let seen = pass(world, p).clone();
    let blind = system.mistake == Some(Mistake::StatusWithoutVersion);
    let written = write(world, p, luck, blind, |stored| {
        stored.client = object.client;
        stored.bound = object.bound;
        stored.attempt = object.attempt;
        stored.shown = object.shown;
    });
    if !written {
        return;
    }
    if says_ready && !is_true(&seen, &object) {
        world.broken.insert(Broken::ReadyUntrue);
    }
    if let Some(Secret::Ours { verified, .. }) = &mut world.secret
        && marks
        && seen.secret_current
    {
        *verified = true;
    }
    let named = object.attempt.map(|claim| claim.id);
    world.processes[p].memory.retain(|memory| match memory.state {
        Sent::Created(client) => object.client != Some(client),
        Sent::Late(_) => true,
        _ => named == Some(memory.id),
    });
    world.processes[p].pass = None;
}

/// Whether what a report says of a client is what this pass saw: the Secret holds it, and it is as declared.
fn is_true(seen: &Pass, object: &Object) -> bool {
    let Some((client, active)) = seen.verified else {
        return false;
    };
    let held = matches!(seen.secret, Some(Secret::Ours { owner, client: held, .. })
        if held == client && owner == Some(object.uid));
    let declared = object.spec.active.unwrap_or(true) == active;
    held && declared && object.bound && object.client == Some(client)
}

/// Writes the object with the version of the view. False if the pass ended over it: refused, or the answer was lost.
fn write(
    world: &mut World,
    p: usize,
    luck: Luck,
    blind: bool,
    edit: impl FnOnce(&mut Object),
) -> bool {
    let pass = pass(world, p);
    let (view, current) = (pass.view, pass.current);
    let stored = world.object.filter(|o| o.uid == view.uid && (current || blind));
    let Some(mut object) = stored.filter(|_| luck != Luck::RequestLost) else {
        abandon(world, p);
        return false;
    };
    edit(&mut object);
    world.store_object(Some(p), Some(object));
    self::pass(world, p).current = true;
    if luck == Luck::AnswerLost {
        abandon(world, p);
        return false;
    }
    true
}

fn in_flight_for(world: &World, uid: u8) -> bool {
    let sent = |m: &Memory| m.uid == uid && m.state == Sent::InFlight;
    world.processes.iter().any(|q| q.memory.iter().any(sent))
}

/// The pass ends without a report; the next one reads again.
fn abandon(world: &mut World, p: usize) {
    world.processes[p].pass = None;
    world.processes[p].awake = true;
}

fn pass(world: &mut World, p: usize) -> &mut Pass {
    let pass = &mut world.processes[p].pass;
    pass.as_mut().expect("only a process in a pass takes steps")
}
