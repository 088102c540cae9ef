//! Which request of an operator is meant, for faults that strike one of them or many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::faults::{Fault, Faults, RequestInfo};
use http::Method;

use crate::world::World;

/// Says which requests are meant.
pub type Such = Arc<dyn Fn(&RequestInfo) -> bool + Send + Sync>;

/// The dry run before a create.
pub fn dry_run(world: &World) -> Such {
    in_namespace(world, |request| {
        request.dry_run && request.resource == "secrets"
    })
}

/// A stored write of a generated Secret. A create has its name in its body only, so it is any object's.
pub fn secret_write(world: &World) -> Such {
    in_namespace(world, |request| {
        request.is_write() && request.resource == "secrets"
    })
}

/// A write of this object's status: first the claim, then the report.
pub fn status_write(world: &World, name: &str) -> Such {
    patch(world, name, "oauthclients/status")
}

/// The finalizer of this object, put on or taken off.
pub fn finalizer_write(world: &World, name: &str) -> Such {
    patch(world, name, "oauthclients")
}

fn patch(world: &World, name: &str, resource: &'static str) -> Such {
    let name = name.to_owned();
    in_namespace(world, move |request| {
        request.method == Method::PATCH
            && request.resource_and_subresource() == resource
            && request.name.as_ref() == Some(&name)
    })
}

fn in_namespace(
    world: &World,
    such: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static,
) -> Such {
    let namespace = world.namespace.clone();
    Arc::new(move |request| request.namespace.as_ref() == Some(&namespace) && such(request))
}

/// A count of requests that a rule has met.
#[derive(Clone, Default)]
pub struct Met(Arc<AtomicUsize>);

impl Met {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Lets `fault` strike the `k`-th such request from now on, counted from 1.
pub fn strike_nth(faults: &Faults, k: usize, such: Such, fault: Fault) -> Met {
    let met = Met::default();
    let meets = met.clone();
    faults.add_rule(move |request| (such(request) && meets.next() == k).then(|| fault.clone()));
    met
}

/// Lets `fault` strike every such request from the `k`-th on, until the faults are cleared.
pub fn strike_from(faults: &Faults, k: usize, such: Such, fault: Fault) -> Met {
    let met = Met::default();
    let meets = met.clone();
    faults.add_rule(move |request| (such(request) && meets.next() >= k).then(|| fault.clone()));
    met
}

/// How many such requests reached the API server.
pub fn sent(faults: &Faults, such: &Such) -> usize {
    faults.count(|record| record.sent && such(&record.request))
}
