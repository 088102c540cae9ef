//! The facts of an object that nobody has looked at yet; each case changes what it is about.

use provident_operator::plan::{
    Adoption, AutoRetry, Connection, Record, Rival, Rotation, SecretSeen, Seen, Vendor,
};

pub fn fresh() -> Seen {
    Seen {
        deleting: false,
        finalizer: false,
        ready: false,
        rejected: false,
        due: false,
        record: Record::Empty,
        attempt: None,
        retry: None,
        secret: SecretSeen::Absent,
        connection: Connection::Usable,
        breaker_open: false,
        auto_retry: AutoRetry::No,
        stopping: false,
        preflight: false,
        vendor: Vendor::NotAsked,
        contested: false,
        definition_going: false,
        not_applied: Vec::new(),
        adoption: Adoption::None,
        rival: Rival::None,
        restart: false,
        rotation: Rotation::default(),
    }
}
