//! The facts at the beginning of a pass, and what later reads show.

use std::sync::LazyLock;

use provident_core::api::OAuthClientSpec;
use provident_core::plan::{
    self, AdoptionFact, AutoRetry, Binding, Candidate, ClientAnswer, Conflict, ConnectionFacts,
    Content, Facts, Observation, Owner, ProofRead, RecordedClient, Rotation, SecretFacts, Vendor,
};
use provident_core::vendor::types::ClientId;

use super::world::{Object, Process, Shown, World};

/// Whether the other object has the client, as far as the process knows.
pub enum OtherHolder {
    /// It does not.
    No,
    /// It does.
    Yes {
        /// It is the older one.
        older: bool,
    },
    /// This process has just recorded it, and the watch does not show it yet.
    Unclear,
}

/// Whether the other object has the client.
pub fn other_holder(process: &Process, o: usize) -> OtherHolder {
    let other = 1 - o;
    match process.cached[other] {
        Some(object) if object.bound && !object.deleting => OtherHolder::Yes { older: other < o },
        Some(object) if process.recorded[other] && !object.deleting => OtherHolder::Unclear,
        _ => OtherHolder::No,
    }
}

/// The facts.
pub fn facts(view: &Object, conflict: Conflict) -> Facts {
    Facts {
        deleting: view.deleting,
        finalizer: view.finalizer,
        ready: view.shown == Shown::Ready,
        was_ready: view.shown == Shown::Ready,
        rejected: false,
        due: false,
        verification_requested: false,
        record: if view.bound {
            RecordedClient::Bound(client())
        } else {
            RecordedClient::Empty
        },
        attempt: None,
        retry: None,
        secret: SecretFacts::Unread,
        connection: ConnectionFacts::Usable,
        breaker_open: false,
        auto_retry: AutoRetry::No,
        stopping: false,
        preflight: false,
        vendor: Vendor::NotAsked,
        updated: false,
        not_applied: Vec::new(),
        adoption: AdoptionFact::None,
        conflict,
        restart: false,
        rotation: Rotation::default(),
        contested: false,
        crd_terminating: false,
        blocked: None,
    }
}

/// Reads the Secret, and whether the client may be adopted. `None` until the watch shows what this process has just
/// recorded.
pub fn read_secret(world: &World, p: usize, o: usize) -> Option<Observation> {
    let process = &world.processes[p];
    let secret = if world.secrets[o] {
        secret()
    } else {
        SecretFacts::Absent
    };
    let facts = Facts {
        secret: secret.clone(),
        ..process.passes[o].as_ref()?.facts.clone()
    };
    let adoption = if plan::may_look_for_adoption(&facts) {
        let held_elsewhere = match other_holder(process, o) {
            OtherHolder::No => false,
            OtherHolder::Yes { .. } => true,
            OtherHolder::Unclear => return None,
        };
        let fact = plan::adoption_fact(&Candidate {
            client: client().as_str(),
            stated: true,
            secret: "",
            key: "",
            in_place: false,
            namespace: "",
            connection: "",
            allowed: true,
            held_elsewhere,
            proof: ProofRead::Text,
        });
        match fact {
            // Nothing depends on messages here.
            AdoptionFact::Refused(reason, _) => AdoptionFact::Refused(reason, String::new()),
            fact => fact,
        }
    } else {
        AdoptionFact::None
    };
    Some(Observation::SecretRead { secret, adoption })
}

/// The client as the vendor returns it.
pub fn answer(active: bool, secret: SecretFacts) -> ClientAnswer {
    ClientAnswer {
        differs: Vec::new(),
        credentials: true,
        active,
        secret,
        rotation: None,
        restart: false,
    }
}

/// The object's own Secret, which is never changed here.
pub fn secret() -> SecretFacts {
    SecretFacts::Present {
        owner: Owner::This,
        binding: Binding::Valid(client()),
        content: Content::Current,
    }
}

/// The one client.
pub fn client() -> ClientId {
    ClientId::parse("c1").expect("a valid clientId")
}

/// The spec of both objects.
pub fn spec() -> &'static OAuthClientSpec {
    static SPEC: LazyLock<OAuthClientSpec> = LazyLock::new(|| {
        let spec = serde_json::json!({
            "allowedScopes": ["listings:read"],
            "adoption": { "clientId": "c1", "secretKeyRef": { "name": "proof", "key": "secret" } },
        });
        serde_json::from_value(spec).expect("a valid spec")
    });
    &SPEC
}
