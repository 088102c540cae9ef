//! Writes of the object, guarded by the version that was read, and what a pass reads right before a request.

use super::Fault;
use super::object::Object;
use super::process::Pass;
use super::world::World;

/// Writes the object with the version of the view. False if the pass ended over it: refused, or the answer was lost.
pub fn write(
    world: &mut World,
    p: usize,
    fault: Fault,
    unguarded: bool,
    edit: impl FnOnce(&mut Object),
) -> bool {
    let pass = pass(world, p);
    let (view, current) = (pass.view, pass.view_current);
    let stored = world
        .object
        .filter(|o| o.uid == view.uid && (current || unguarded));
    let Some(mut object) = stored.filter(|_| fault != Fault::RequestLost) else {
        abandon(world, p);
        return false;
    };
    edit(&mut object);
    world.store_object(Some(p), Some(object));
    self::pass(world, p).view_current = true;
    if fault == Fault::AnswerLost {
        abandon(world, p);
        return false;
    }
    true
}

/// The pass ends without a report, and another one begins later.
pub fn abandon(world: &mut World, p: usize) {
    world.processes[p].pass = None;
    world.processes[p].awake = true;
}

/// The object, read now, is the one in view, and of the same generation.
pub fn generation_unchanged(world: &World, view: &Object) -> bool {
    world.object.is_some_and(|live| live.same_generation(view))
}

/// The pass that process `p` is in.
pub fn pass(world: &mut World, p: usize) -> &mut Pass {
    let pass = &mut world.processes[p].pass;
    pass.as_mut().expect("only a process in a pass takes steps")
}
