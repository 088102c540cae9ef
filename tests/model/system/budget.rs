//! How much may happen in a run.

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A process dies; its memory is lost.
    pub crashes: u8,
    /// A process is told to leave.
    pub terms: u8,
    /// A request to the API server is lost, its answer is lost, or a Secret is refused.
    pub api: u8,
    /// A pass begins from an outdated cache.
    pub stale: u8,
    /// The vendor answers something other than what is hoped for.
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
    /// A person sets `retry-create`.
    pub retries: u8,
    /// The tenant forges a status or a Secret, or removes a Secret.
    pub forgeries: u8,
    /// Somebody else takes the Secret's name.
    pub strangers: u8,
    /// The connection is suspended or resumed.
    pub suspensions: u8,
    /// A person removes a client at the vendor.
    pub removals: u8,
    /// The tenant asks for a rotation.
    pub tokens: u8,
    /// The schedule asks for one.
    pub dues: u8,
    /// A person rotates at the vendor.
    pub hands: u8,
    /// GET answers the former secret for a while after a rotation.
    pub lags: u8,
    /// The binding key is replaced, and the operator started with the new one.
    pub rekeys: u8,
    /// The definition of our kind is deleted.
    pub uninstalls: u8,
}
