//! What the vendor's last responses say about a connection as a whole.
//!
//! Every response of every endpoint is reported here, so that the connection's condition follows what last happened. A
//! response about one client proves the connection only where it succeeds: a 401, 403 or 500 for one client may be that
//! client's own problem, so it asks for a probe, and the probe decides.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use provident_core::vendor::error::TokenError;
use provident_core::vendor::outcome::Reply;

/// A response to a create that is not the API's is reported for this long after the last one. Creates are retried at
/// least every five minutes, so it is reported for as long as any create fails this way, and not for ever after the
/// object of that create was deleted.
const CREATE_FAULT_LASTS: Duration = Duration::from_mins(10);

/// Called when the health of a connection may have changed, or a probe is needed.
pub type HealthListener = Arc<dyn Fn() + Send + Sync>;

/// The state of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing has proven yet that the vendor's API responds at the base URL and accepts the credential. The text says
    /// what a probe found, if there was one.
    Unverified(Option<String>),
    /// The last responses prove both.
    Ready,
    /// The vendor refuses the credential.
    CredentialsRejected(String),
    /// The vendor does not respond, or answers with server errors.
    Unreachable(String),
    /// Something responds that is not the vendor's API, so nothing is sent to it but probes.
    UnexpectedResponse(String),
    /// The same for creates only: clients that exist are reached.
    UnexpectedCreateResponse(String),
}

/// What a probe, or a call that succeeded, found out about the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ApiHealth {
    /// See [`Health::Unverified`].
    #[default]
    Untested,
    /// A probe got a response that proves nothing.
    Unproven(String),
    /// The API accepts the credential.
    Accepted,
    /// The API refuses it.
    Rejected(String),
    /// No response, or a server error.
    Unreachable(String),
    /// Not the API.
    Unexpected(String),
}

#[derive(Default)]
struct State {
    api: ApiHealth,
    /// Why the last request for a token failed.
    token: Option<TokenError>,
    /// The last response to a create, if it was not the API's.
    create: Option<(String, Instant)>,
    needs_probe: bool,
    recovered: bool,
}

/// Collects responses; shared by all calls over one connection.
#[derive(Default)]
pub struct HealthTracker {
    state: Mutex<State>,
    listener: Option<HealthListener>,
}

impl State {
    fn health(&self) -> Health {
        if let Some(error) = &self.token {
            let text = error.to_string();
            match error {
                TokenError::Refused { .. } => return Health::CredentialsRejected(text),
                _ if error.is_outage() => return Health::Unreachable(text),
                TokenError::Status(_) | TokenError::MalformedResponse(_) => {
                    return Health::UnexpectedResponse(text);
                }
                // A limit says nothing about the connection.
                TokenError::Throttled(_) | TokenError::Unreachable(_) => {}
            }
        }
        match (&self.api, &self.create) {
            (ApiHealth::Untested, _) => Health::Unverified(None),
            (ApiHealth::Unproven(_) | ApiHealth::Accepted, Some((text, at)))
                if at.elapsed() < CREATE_FAULT_LASTS =>
            {
                Health::UnexpectedCreateResponse(text.clone())
            }
            (ApiHealth::Unproven(text), _) => Health::Unverified(Some(text.clone())),
            (ApiHealth::Accepted, _) => Health::Ready,
            (ApiHealth::Rejected(text), _) => Health::CredentialsRejected(text.clone()),
            (ApiHealth::Unreachable(text), _) => Health::Unreachable(text.clone()),
            (ApiHealth::Unexpected(text), _) => Health::UnexpectedResponse(text.clone()),
        }
    }
}

impl HealthTracker {
    /// `accepted`: an earlier process has found the API to accept this credential.
    pub(super) fn new(accepted: bool, listener: Option<HealthListener>) -> Self {
        let api = if accepted {
            ApiHealth::Accepted
        } else {
            ApiHealth::Untested
        };
        let state = State {
            api,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            listener,
        }
    }

    /// The health of the connection now.
    pub(super) fn health(&self) -> Health {
        self.state.lock().health()
    }

    pub(super) fn is_api_unreachable(&self) -> bool {
        matches!(self.state.lock().api, ApiHealth::Unreachable(_))
    }

    pub(super) fn is_api_accepted(&self) -> bool {
        self.state.lock().api == ApiHealth::Accepted
    }

    pub(super) fn needs_probe(&self) -> bool {
        self.state.lock().needs_probe
    }

    /// A call failed in a way that may be the connection's.
    pub(super) fn request_probe(&self) {
        let news = !std::mem::replace(&mut self.state.lock().needs_probe, true);
        self.notify(news);
    }

    /// A call for one client returned that client: right host, right path, a credential that is accepted.
    pub(super) fn succeeded(&self) {
        self.change(|state| {
            state.recovered |= matches!(state.api, ApiHealth::Unreachable(_));
            state.api = ApiHealth::Accepted;
            state.needs_probe = false;
        });
    }

    /// What a probe found.
    pub(super) fn probed(&self, api: ApiHealth) {
        let mut state = self.state.lock();
        let accepted = api == ApiHealth::Accepted;
        state.recovered |= accepted && matches!(state.api, ApiHealth::Unreachable(_));
        state.needs_probe = !matches!(api, ApiHealth::Accepted | ApiHealth::Unproven(_));
        state.api = api;
    }

    /// The response of the token endpoint.
    pub(super) fn token_response(&self, error: Option<TokenError>) {
        self.change(|state| {
            let was_away = state.token.as_ref().is_some_and(TokenError::is_outage);
            state.recovered |= was_away && error.is_none();
            state.token = error;
        });
    }

    /// The response to a create.
    pub(super) fn create_response(&self, reply: &Reply) {
        let (status, client) = match reply {
            Reply::NeverConnected | Reply::NoAnswer => return self.request_probe(),
            Reply::Answer { status, client } => (*status, client.is_some()),
        };
        match status {
            200..=299 if client => {
                self.change(|state| state.create = None);
                self.succeeded();
            }
            // The endpoint is there, and has read the request.
            400 | 409 | 413 | 422 => self.change(|state| state.create = None),
            401 | 403 | 408 | 500..=599 => self.request_probe(),
            429 => {}
            _ => self.change(|state| {
                let what = if (200..=299).contains(&status) {
                    " without a client"
                } else {
                    ""
                };
                let text = format!("the vendor answered POST /oauth2/clients with {status}{what}");
                state.create = Some((text, Instant::now()));
                // What responds to a probe may be another program than what responds to a create.
                state.needs_probe = true;
            }),
        }
    }

    /// Whether a connection that was unreachable is reached again since this was last called.
    pub(super) fn take_recovered(&self) -> bool {
        std::mem::take(&mut self.state.lock().recovered)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let before = state.health();
        change(&mut state);
        let news = state.health() != before;
        // The listener runs without the lock.
        drop(state);
        self.notify(news);
    }

    fn notify(&self, news: bool) {
        if news && let Some(listener) = &self.listener {
            listener();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use provident_core::vendor::outcome::Made;
    use provident_core::vendor::types::ClientId;

    use super::*;

    fn answered(status: u16) -> Reply {
        let client = (status == 201).then(|| Made {
            client_id: ClientId::parse("c1").unwrap(),
            created_at: None,
            answered_at: None,
        });
        Reply::Answer { status, client }
    }

    #[test]
    fn unknown_until_proven_and_then_as_the_last_response_says() {
        let tracker = HealthTracker::default();
        assert_eq!(tracker.health(), Health::Unverified(None));
        // A token alone does not prove that the API accepts it.
        tracker.token_response(None);
        assert_eq!(tracker.health(), Health::Unverified(None));
        tracker.probed(ApiHealth::Unproven("404".to_owned()));
        assert!(matches!(tracker.health(), Health::Unverified(Some(_))));
        tracker.succeeded();
        assert_eq!(tracker.health(), Health::Ready);
        for error in [
            TokenError::Status(204),
            TokenError::Status(302),
            TokenError::MalformedResponse("x"),
        ] {
            tracker.token_response(Some(error));
            assert!(matches!(tracker.health(), Health::UnexpectedResponse(_)));
        }
        tracker.token_response(Some(TokenError::Status(503)));
        assert!(matches!(tracker.health(), Health::Unreachable(_)));
        tracker.token_response(Some(TokenError::Throttled(None)));
        assert_eq!(tracker.health(), Health::Ready);
        assert!(tracker.take_recovered() || !tracker.needs_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn a_creates_404_is_the_connections_until_a_create_is_answered_otherwise() {
        let tracker = HealthTracker::new(true, None);
        for status in [404, 405, 301, 307, 200, 204] {
            tracker.create_response(&answered(status));
            assert!(
                matches!(tracker.health(), Health::UnexpectedCreateResponse(text) if text.contains(&status.to_string())),
                "{status}"
            );
            // A probe reads, which says nothing about creates.
            tracker.probed(ApiHealth::Accepted);
            assert!(matches!(
                tracker.health(),
                Health::UnexpectedCreateResponse(_)
            ));
            let ends = if status == 404 { 201 } else { 422 };
            tracker.create_response(&answered(ends));
            assert_eq!(tracker.health(), Health::Ready, "{status}");
        }
        tracker.create_response(&answered(404));
        tokio::time::sleep(CREATE_FAULT_LASTS).await;
        assert_eq!(tracker.health(), Health::Ready);
    }

    #[test]
    fn what_may_be_one_clients_own_problem_asks_for_a_probe_and_changes_nothing_else() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let listener: HealthListener = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let tracker = HealthTracker::new(true, Some(listener));
        for status in [401, 403, 500, 503] {
            tracker.create_response(&answered(status));
            assert_eq!(tracker.health(), Health::Ready, "{status}");
            assert!(tracker.needs_probe());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1, "asked once");
        tracker.create_response(&answered(429));
        tracker.probed(ApiHealth::Accepted);
        assert!(!tracker.needs_probe());
        tracker.create_response(&answered(429));
        assert!(!tracker.needs_probe(), "a limit is no failure");
    }
}
