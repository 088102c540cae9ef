//! The steps that ask the vendor, and what is made of its answers.

use std::time::Instant;

use tracing::{info, warn};

use crate::oauth_client::observe::Pass;
use crate::oauth_client::steps::stop;
use crate::oauth_client::{Abort, SOON};
use crate::state::connection_registry::ConnectionKey;
use crate::vendor::connection::VendorConnection;
use crate::vendor::limiter::Permit;
use provident_core::api::{ConditionStatus, Reason};
use provident_core::plan::{
    self, Blocked, Conflict, Field, Found, Requeue, Vendor, differing, update_request,
};
use provident_core::vendor::error::CallError;
use provident_core::vendor::types::{ClientId, VendorClient};

impl Pass {
    pub async fn verify(&mut self, id: &ClientId) -> Result<(), Abort> {
        let connection = self.connection()?;
        let permit = self.turn(&connection).await?;
        match connection.client.get(permit, id).await {
            Ok(client) => {
                self.proved(&connection);
                self.found(client, false);
                self.require_secret()
            }
            Err(CallError::NotFound) if connection.is_account_verified() => {
                self.facts.vendor = Vendor::Missing;
                Ok(())
            }
            Err(error) => Err(self.told(&connection, &error)),
        }
    }

    pub async fn update(&mut self, id: &ClientId, fields: &[Field]) -> Result<(), Abort> {
        let connection = self.connection()?;
        self.unchanged().await?;
        let permit = self.turn(&connection).await?;
        match connection
            .client
            .update(permit, id, &update_request(&self.object.spec, fields))
            .await
        {
            Ok(client) => {
                self.proved(&connection);
                info!(client_id = %id, fields = plan::names(fields), "updated the client");
                self.found(client, true);
                self.event(
                    false,
                    Reason::Available,
                    &format!("Updated at the vendor: {}", plan::names(fields)),
                )
                .await;
                Ok(())
            }
            Err(error) => Err(self.told(&connection, &error)),
        }
    }

    pub async fn deactivate(&mut self, id: &ClientId) -> Result<(), Abort> {
        let connection = self.connection()?;
        let permit = self.turn(&connection).await?;
        self.unchanged().await?;
        if self.definition_is_going().await? {
            self.facts.definition_going = true;
            return Ok(());
        }
        if self.is_kept_elsewhere(id).await? {
            // Which of the two is older does not matter to an object that goes.
            self.facts.conflict = Conflict::WithYounger;
            return Ok(());
        }
        match connection.client.deactivate(permit, id).await {
            Ok(client) if client.is_active == Some(false) => {
                self.proved(&connection);
                info!(client_id = %id, "deactivated the client");
                self.facts.vendor = Vendor::Deactivated;
                Ok(())
            }
            Ok(_) => Err(stop(
                Reason::VendorUnavailable,
                "The vendor took isActive: false and did not apply it",
                Requeue::Backoff,
            )),
            Err(CallError::NotFound) if connection.is_account_verified() => {
                self.facts.vendor = Vendor::Missing;
                Ok(())
            }
            Err(error) => Err(self.told(&connection, &error)),
        }
    }

    /// Takes in the vendor's client as the facts a plan rests on.
    pub fn found(&mut self, client: VendorClient, updated: bool) {
        self.facts.vendor = Vendor::Found(Found {
            differs: differing(&self.object.spec, &client),
            updated,
            credentials: client.client_secret.is_some(),
            active: client.is_active != Some(false),
            rotated: false,
        });
        // A PUT's answer without the secret does not take away the one in hand.
        let secret = client
            .client_secret
            .clone()
            .or_else(|| self.vendor.take().and_then(|v| v.client_secret));
        self.vendor = Some(VendorClient {
            client_secret: secret,
            ..client
        });
        self.compare_secret();
        let rotated = self.is_rotated();
        if let Vendor::Found(found) = &mut self.facts.vendor {
            found.rotated = rotated;
        }
        self.facts.restart = !self.restarted && self.must_restart();
    }

    // What GET answers includes the secret (API document); without it nothing can be kept in a Secret.
    pub fn require_secret(&self) -> Result<(), Abort> {
        if self
            .vendor
            .as_ref()
            .is_some_and(|client| client.client_secret.is_some())
        {
            return Ok(());
        }
        Err(stop(
            Reason::VendorUnavailable,
            "The vendor's answer lacks clientSecret",
            Requeue::Backoff,
        ))
    }

    /// The connection that [`plan::next`] found usable.
    pub fn connection(&self) -> Result<std::sync::Arc<VendorConnection>, Abort> {
        self.connection.clone().ok_or_else(|| {
            stop(
                Reason::ConnectionNotReady,
                "The connection is not ready",
                Requeue::Backoff,
            )
        })
    }

    /// A turn of the connection's limiter; without one the object comes back, and nothing is said of it.
    pub async fn turn(&self, connection: &VendorConnection) -> Result<Permit, Abort> {
        let (namespace, began) = (self.namespace(), Instant::now());
        let permit = connection.limiter.permit(&namespace).await;
        match &permit {
            Ok(_) => self.ctx.metrics.vendor.turn(began.elapsed()),
            Err(_) => self.ctx.metrics.vendor.put_off(),
        }
        permit.map_err(|throttled| Abort::Requeue(throttled.0.max(SOON)))
    }

    pub fn proved(&self, connection: &VendorConnection) {
        // Both are told in the connection's status.
        let renewed = connection.client.take_token_refreshed();
        if connection.mark_account_verified() || renewed {
            self.poke();
        }
    }

    /// A failed call, as it is told to the user.
    pub fn told(&self, connection: &VendorConnection, error: &CallError) -> Abort {
        warn!(%error, "the vendor did not do it");
        let key = ConnectionKey::of(&self.object);
        match error {
            CallError::Token(error) => stop(
                Reason::ConnectionNotReady,
                format!(
                    "Connection {key} has no access token: {error}; see {}",
                    key.command()
                ),
                Requeue::Backoff,
            ),
            CallError::NotFound => {
                let message = format!(
                    "The vendor answered 404, and the account of connection {key} is not verified yet: the credential may be \
                     another account's. This ends when any client of the connection is found"
                );
                Abort::Blocked(Blocked {
                    ready: ConditionStatus::Unknown,
                    reason: Reason::ConnectionNotReady,
                    message,
                    retry: Requeue::Backoff,
                })
            }
            CallError::Throttled(retry_after) => {
                let pause = connection.limiter.retry_delay(*retry_after);
                stop(
                    Reason::VendorThrottled,
                    "The vendor limits the rate of requests (429). This ends by itself",
                    Requeue::After(pause),
                )
            }
            CallError::Rejected { .. } => {
                let message = format!(
                    "{}. Edit the fields of the spec that it names",
                    sentence(error)
                );
                stop(Reason::SpecRejected, message, Requeue::Verification)
            }
            // The connection may be at fault, or this client alone: its controller probes it now, and reports the
            // connection, so this speaks of the call.
            CallError::Unauthorized
            | CallError::Forbidden
            | CallError::Status(_)
            | CallError::Unreachable(_)
            | CallError::MalformedResponse(_) => stop(
                Reason::VendorUnavailable,
                format!(
                    "A call for this client failed: {error}. The operator retries with backoff; whether other clients are \
                     affected, see {}",
                    key.command()
                ),
                Requeue::Backoff,
            ),
        }
    }
}

fn sentence(error: &CallError) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
