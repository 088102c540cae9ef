//! What all calls of one emulator share.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::ApiError;
use super::faults::Faults;
use super::journal::Journal;
use super::persist::StateFile;
use super::random;
use super::state::{Fresh, State, StoredClient};
use super::validate::RequestFields;

pub(super) struct Shared {
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) scopes: BTreeSet<String>,
    pub(super) stop: CancellationToken,
    /// The calls being carried out.
    pub(super) work: TaskTracker,
    /// Each message closes all open connections.
    pub(super) cut: watch::Sender<()>,
    pub(super) token: Mutex<String>,
    /// The clientId whose access tokens open the administration API.
    pub(super) administrator: Mutex<Option<String>>,
    pub(super) state: Mutex<State>,
    pub(super) file: Option<StateFile>,
}

/// The present time in whole milliseconds, as APIs print it.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Changes the clients and stores them before it answers; under the lock, so that writes keep their order.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        if let Some(file) = &self.file
            && let Err(error) = file.save(&state.clients())
        {
            tracing::error!(%error, "this change to the emulator's clients will be lost when it stops");
        }
        result
    }

    pub(super) fn administrator(&self) -> Result<StoredClient, ApiError> {
        self.set_administrator(random::hex(16)?, random::secret()?)
    }

    /// Makes this client the administrator; one of the same clientId, from the state file, is replaced.
    pub(super) fn set_administrator(
        &self,
        client_id: String,
        client_secret: String,
    ) -> Result<StoredClient, ApiError> {
        self.journal.keep_secret(&client_secret);
        let fresh = Fresh {
            id: random::hex(12)?,
            client_id,
            client_secret,
        };
        let client = fresh.client(&RequestFields::administrator(), now())?;
        let client = self.change(|state| state.create(client, false));
        *lock(&self.administrator) = Some(client.client_id.clone());
        Ok(client)
    }

    fn is_administrators(&self, token: &str) -> bool {
        let administrator = lock(&self.administrator).clone();
        administrator.is_some_and(|id| {
            let state = self.state();
            let owner = state.token_owner(token, now());
            owner.is_some_and(|owner| owner.client_id == id)
        })
    }

    /// RFC 6750 section 2.1; the name of the scheme is not case sensitive.
    pub(super) fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match header.split_once(' ') {
            Some((scheme, token))
                if scheme.eq_ignore_ascii_case("bearer")
                    && (*token == *self.token() || self.is_administrators(token)) =>
            {
                Ok(())
            }
            _ => Err(ApiError::unauthorized()),
        }
    }

    pub(super) fn token(&self) -> String {
        lock(&self.token).clone()
    }

    pub(super) fn set_token(&self, token: String) {
        self.journal.keep_secret(&token);
        *lock(&self.token) = token;
    }
}

/// A panic elsewhere does not make the data wrong: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
