//! How much may happen in a run.

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A process crashes; its memory is lost.
    pub crashes: u8,
    /// A process receives a shutdown signal.
    pub terms: u8,
    /// A request to the API server is lost, its answer is lost, a Secret is refused, or the process is delayed.
    pub api: u8,
    /// A pass begins from an outdated cache.
    pub stale: u8,
    /// The vendor fails a request, or does not answer it.
    pub vendor: u8,
    /// The tenant edits the spec.
    pub edits: u8,
    /// `kubectl replace`
    pub replaces: u8,
    /// `kubectl delete`
    pub deletes: u8,
    /// The object is declared again under its name.
    pub recreates: u8,
    /// Object and Secret are restored from a backup, without status and owner.
    pub restores: u8,
    /// A Secret with an older client is restored from a backup, while the object stays.
    pub secrets: u8,
    /// The tenant empties status.
    pub empties: u8,
    /// A person sets `retry-create`.
    pub retries: u8,
    /// The tenant forges a status or a Secret, or removes a Secret.
    pub forgeries: u8,
    /// Another owner creates a Secret of that name.
    pub strangers: u8,
    /// The connection is suspended or resumed.
    pub suspensions: u8,
    /// A person removes a client at the vendor.
    pub removals: u8,
    /// The tenant requests a rotation.
    pub tokens: u8,
    /// The schedule requests one.
    pub dues: u8,
    /// A person rotates at the vendor.
    pub hands: u8,
    /// GET returns the previous secret for a while after a rotation.
    pub lags: u8,
    /// The binding key is replaced, and the operator starts with the new one.
    pub rekeys: u8,
    /// The CRD is deleted.
    pub uninstalls: u8,
}
