//! The facts of an object that has not been reconciled yet; each case changes what it is about.

use provident_core::plan::{
    AdoptionFact, AutoRetry, Conflict, ConnectionFacts, Facts, RecordedClient, Rotation,
    SecretFacts, Vendor,
};

pub fn fresh() -> Facts {
    Facts {
        deleting: false,
        finalizer: false,
        ready: false,
        was_ready: false,
        rejected: false,
        due: false,
        verification_requested: false,
        record: RecordedClient::Empty,
        attempt: None,
        retry: None,
        secret: SecretFacts::Absent,
        connection: ConnectionFacts::Usable,
        breaker_open: false,
        auto_retry: AutoRetry::No,
        stopping: false,
        preflight: false,
        vendor: Vendor::NotAsked,
        updated: false,
        contested: false,
        crd_terminating: false,
        not_applied: Vec::new(),
        adoption: AdoptionFact::None,
        conflict: Conflict::None,
        restart: false,
        rotation: Rotation::default(),
        blocked: None,
    }
}
