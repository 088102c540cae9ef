//! Writes to the API server, each with the version that was read: it is refused if that is outdated.

use provident_core::api::Reason;

use super::Luck;
use super::process::Pass;
use super::properties::Broken;
use super::world::{Object, Proof, Secret, World};

/// Writes the object with the version of the view. False if the pass ended over it: refused, or the answer was lost.
pub fn write(
    world: &mut World,
    p: usize,
    luck: Luck,
    blind: bool,
    edit: impl FnOnce(&mut Object),
) -> bool {
    let pass = pass(world, p);
    let (view, current) = (pass.view, pass.current);
    let stored = world
        .object
        .filter(|o| o.uid == view.uid && (current || blind));
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

/// Writes the Secret with the version it was read in, or makes it if it was facts absent.
pub fn replace_secret(world: &mut World, p: usize, luck: Luck, secret: Option<Secret>) {
    if luck == Luck::Refused {
        pass(world, p).stop = Some(Reason::SecretWriteDenied);
        return;
    }
    let current = pass(world, p).secret_current;
    if luck == Luck::RequestLost || !current {
        return abandon(world, p);
    }
    let view = pass(world, p).view;
    let uid = view.uid;
    let somebody_elses = match world.secret {
        Some(Secret::Handmade(_)) => view.spec.adoption != Some(Proof::InPlace),
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

/// The pass ends without a report; the next one reads again.
pub fn abandon(world: &mut World, p: usize) {
    world.processes[p].pass = None;
    world.processes[p].awake = true;
}

/// The pass that process `p` is in.
pub fn pass(world: &mut World, p: usize) -> &mut Pass {
    let pass = &mut world.processes[p].pass;
    pass.as_mut().expect("only a process in a pass takes steps")
}
