//! The steps that write the Secret.

use kube::ResourceExt;
use kube::api::PostParams;
use tracing::info;

use crate::cluster;
use crate::oauth_client::observe::Pass;
use crate::oauth_client::steps::stop;
use crate::oauth_client::{Abort, SOON};
use provident_core::api::{MANAGER, Reason};
use provident_core::plan::{self, AttemptState, Content, Requeue, SecretFacts, Vendor};
use provident_core::secret::{self, SecretMetadata, Values};
use provident_core::vendor::types::ClientId;

impl Pass {
    /// What a Secret for this client should be; `None` without credentials in hand.
    pub fn desired(&self, id: &ClientId) -> Option<k8s_openapi::api::core::v1::Secret> {
        let client_secret = self.vendor.as_ref()?.client_secret.as_ref()?;
        let token_url = self.connection.as_ref().map(|c| c.client.token_url())?;
        let mac = self.key.as_ref()?.mac(self.bound(), id);
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        Some(secret::render(&self.object, values, &mac))
    }

    /// The hash of the content that the Secret should have; `None` without credentials in hand.
    pub fn digest(&self) -> Option<String> {
        let id = plan::client(&self.facts)?;
        let content = self.desired(&id)?.data?;
        Some(self.key.as_ref()?.digest(&content))
    }

    pub fn compare_secret(&mut self) {
        let Some(observed) = &self.secret else {
            return self.compare_digest();
        };
        let Some(desired) = plan::client(&self.facts).and_then(|id| self.desired(&id)) else {
            return;
        };
        let current = secret::is_current(observed, &desired);
        let content = if current {
            Content::Current
        } else {
            Content::Stale
        };
        self.facts.secret = self.secret_facts(&SecretMetadata::of(&observed.metadata), content);
    }

    // A Secret that is known by its version holds what status says it holds: the vendor may have another secret by now.
    fn compare_digest(&mut self) {
        if self.facts.secret.content() != Content::Current {
            return;
        }
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_hash.as_deref());
        let Some(digest) = self.digest() else {
            return;
        };
        if let SecretFacts::Present { content, .. } = &mut self.facts.secret
            && recorded != Some(&digest)
        {
            *content = Content::Stale;
        }
    }

    // One that was known by its version must be read to be replaced. `true`: it is as it should be.
    async fn read_known_secret(&mut self) -> Result<bool, Abort> {
        if self.secret.is_some() || self.facts.secret == SecretFacts::Absent {
            return Ok(false);
        }
        self.read_secret().await?;
        self.compare_secret();
        Ok(self.facts.secret.content() == Content::Current)
    }

    pub async fn write_secret(&mut self, id: &ClientId) -> Result<(), Abort> {
        let Some(desired) = self.desired(id) else {
            return Err(stop(
                Reason::ConnectionNotReady,
                "The connection is gone; its URL belongs into the Secret",
                Requeue::Backoff,
            ));
        };
        let answered = self
            .facts
            .attempt
            .as_ref()
            .filter(|a| matches!(a.state, AttemptState::Created(_)));
        let age = answered.and_then(|attempt| self.ctx.memory.age(&attempt.id));
        let fresh = age.is_some();
        if age.is_some_and(|age| age > self.ctx.config.secret_first_within()) {
            // Soon another process may take this attempt for over, and no resourceVersion guards the Secret against
            // that: without credentials in hand status comes first, under its own.
            self.facts.vendor = Vendor::NotAsked;
            return Ok(());
        }
        // Looked at anew: the plan decides again whether it may be written, if it is another's by now.
        let before = self.facts.secret.clone();
        if self.read_known_secret().await? || !same_owner(&before, &self.facts.secret) {
            return Ok(());
        }
        if !fresh {
            self.still_there().await?;
        }
        let api = self.ctx.secrets(&self.namespace());
        let post = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match &self.secret {
            // Create, never apply: a stranger's Secret that came meanwhile is not overwritten.
            None => api.create(&post, &desired).await,
            Some(observed) => {
                api.replace(
                    self.object.secret_name(),
                    &post,
                    &secret::merge(observed, &desired),
                )
                .await
            }
        };
        match written {
            Ok(secret) => {
                if self.is_repair() {
                    self.ctx.metrics.outcomes.repaired();
                    self.ctx
                        .repairs
                        .note(&self.object.uid().unwrap_or_default());
                }
                info!(secret = self.object.secret_name(), client_id = %id, "wrote the Secret");
                self.facts.secret =
                    self.secret_facts(&SecretMetadata::of(&secret.metadata), Content::Current);
                self.secret = Some(secret);
                Ok(())
            }
            // Also our own write, answered 504 and yet done: the next pass sees whose it is.
            Err(error) if cluster::is_already_exists(&error) || cluster::is_conflict(&error) => {
                self.secret = api
                    .get_opt(self.object.secret_name())
                    .await
                    .map_err(Abort::Api)?;
                let Some(observed) = &self.secret else {
                    return Err(Abort::Requeue(SOON));
                };
                self.facts.secret =
                    self.secret_facts(&SecretMetadata::of(&observed.metadata), Content::Stale);
                self.compare_secret();
                match &self.facts.secret {
                    SecretFacts::Present {
                        owner: plan::Owner::Other | plan::Owner::None,
                        ..
                    } => Ok(()),
                    SecretFacts::Present {
                        content: Content::Current,
                        ..
                    } => Ok(()),
                    _ => Err(Abort::Requeue(SOON)),
                }
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    // Somebody changed or took away what this generation has stored; an edit, a new client or a new secret is no repair.
    fn is_repair(&self) -> bool {
        let status = self.object.status.as_ref();
        let stored = status
            .filter(|status| status.observed_generation == self.object.metadata.generation)
            .and_then(|status| status.secret_resource_version.as_ref());
        let observed = self.secret.as_ref().and_then(ResourceExt::resource_version);
        stored.is_some() && stored != observed.as_ref()
    }

    // A repair must not bring a Secret back for an object that is gone or going.
    pub async fn still_there(&self) -> Result<(), Abort> {
        let going = self.live().await?.metadata.deletion_timestamp.is_some();
        (!going).then_some(()).ok_or(Abort::StaleView)
    }

    pub async fn disown_secret(&mut self) -> Result<(), Abort> {
        let api = self.ctx.secrets(&self.namespace());
        let name = self.object.secret_name().to_owned();
        let written = match api.get_opt(&name).await {
            Ok(Some(observed)) => {
                let disowned = secret::disown(&observed, &self.object);
                api.replace(&name, &PostParams::default(), &disowned).await
            }
            Ok(None) => {
                self.facts.secret = SecretFacts::Absent;
                return Ok(());
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(secret) => {
                self.facts.secret =
                    self.secret_facts(&SecretMetadata::of(&secret.metadata), Content::Unknown);
                Ok(())
            }
            Err(error) if cluster::is_conflict(&error) || cluster::is_not_found(&error) => {
                Err(Abort::Requeue(SOON))
            }
            // It dies with its namespace, as did perhaps the right to write it: nothing to wait for.
            Err(error)
                if cluster::refusal(&error).is_some() && self.namespace_is_going().await? =>
            {
                self.facts.secret = SecretFacts::Absent;
                Ok(())
            }
            Err(error) => Err(self.refused(error)),
        }
    }

    // The API server's words are not shown here: what it refused held the credentials, and a policy may quote it.
    pub fn refused(&self, error: kube::Error) -> Abort {
        let Some(code) = cluster::refusal(&error) else {
            return Abort::Api(error);
        };
        let immutable = self
            .secret
            .as_ref()
            .is_some_and(|secret| secret.immutable == Some(true));
        let name = self.object.secret_name();
        if immutable && code == 422 {
            let message = format!(
                "spec.secret.name: the Secret {name} is immutable and differs. Delete it; it is written anew"
            );
            return stop(Reason::SecretImmutable, message, Requeue::Backoff);
        }
        let message = format!(
            "The API server refuses the Secret {name} ({code}). Look at quotas, admission policies and the operator's rights \
             in namespace {}; the client is recorded and nothing is lost",
            self.namespace()
        );
        stop(Reason::SecretWriteDenied, message, Requeue::Backoff)
    }
}

fn same_owner(before: &SecretFacts, now: &SecretFacts) -> bool {
    match (before, now) {
        (SecretFacts::Present { owner, .. }, SecretFacts::Present { owner: other, .. }) => {
            owner == other
        }
        _ => before == now,
    }
}
