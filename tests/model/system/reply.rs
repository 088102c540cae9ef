//! Replies of the vendor to a create.

use provident_core::vendor::outcome::{Made, Reply};
use provident_core::vendor::types::ClientId;

/// A row of the table of replies to a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// The connection could not be made.
    NeverConnected,
    /// No status line: created or not.
    NoAnswer,
    /// This status without a client. A 5xx may come from a gateway after the vendor created the client, and a 2xx may
    /// have an unreadable body.
    Status(u16),
    /// 201 with the new client and its secret.
    Created,
    /// 201 with the new client, without its secret.
    WithoutSecret,
    /// 200 with a client that another object records.
    Existing,
}

impl Row {
    /// Every row but [`Row::Created`].
    pub const EVERY: &'static [Self] = &[
        Self::NeverConnected,
        Self::NoAnswer,
        Self::Status(201),
        Self::Status(303),
        Self::Status(307),
        Self::Status(400),
        Self::Status(401),
        Self::Status(408),
        Self::Status(429),
        Self::Status(503),
        Self::WithoutSecret,
        Self::Existing,
    ];
    /// One of each kind: known not created, unknown, and without a secret.
    pub const KINDS: &'static [Self] = &[Self::Status(429), Self::Status(503), Self::WithoutSecret];

    /// Whether it proves that nothing was created (RFC 9110: what the status says of the request).
    pub fn proves_nothing_created(self) -> bool {
        match self {
            Self::NeverConnected | Self::Status(307 | 400 | 401 | 429) => true,
            Self::NoAnswer
            | Self::Status(_)
            | Self::Created
            | Self::WithoutSecret
            | Self::Existing => false,
        }
    }

    /// What the process reads.
    pub fn reply(self, created: ClientId, foreign: ClientId) -> Reply {
        let (status, client) = match self {
            Self::NeverConnected => return Reply::NeverConnected,
            Self::NoAnswer => return Reply::NoAnswer,
            Self::Status(status) => (status, None),
            Self::Created | Self::WithoutSecret => (201, Some(created)),
            Self::Existing => (200, Some(foreign)),
        };
        let client = client.map(|client_id| Made {
            client_id,
            created_at: None,
            answered_at: None,
        });
        Reply::Answer { status, client }
    }
}
