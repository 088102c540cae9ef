//! What the Secret should hold, and how the Secret, the vendor's client and the open rotation compare with it.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use provident_core::api::BINDING_ANNOTATION;
use provident_core::binding::Verification;
use provident_core::plan::{
    Binding, ClientAnswer, Content, Facts, SecretChange, SecretFacts, differing,
};
use provident_core::secret::{self, SecretMetadata, Values};
use provident_core::vendor::types::{ClientId, VendorClient};

use super::Held;

impl Held {
    /// What a Secret's metadata says, for the plan.
    pub fn secret_facts(&self, metadata: &SecretMetadata, content: Content) -> SecretFacts {
        let binding = match &self.key {
            Some(key) => metadata.binding(key, self.bound()),
            None => Binding::Invalid,
        };
        SecretFacts::Present {
            owner: metadata.owner(&self.object),
            binding,
            content,
        }
    }

    /// The Secret that should exist for this client; `None` without credentials at hand.
    pub fn desired_secret(&self, id: &ClientId) -> Option<Secret> {
        let client_secret = self.client.as_ref()?.client_secret.as_ref()?;
        let token_url = self.connection.as_ref().map(|c| c.client.token_url())?;
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        Some(secret::render(&self.object, values, &self.mac(id)?))
    }

    /// The binding to `id`: one that is recorded already and valid, so that a right to read namespaces that is gained or lost
    /// rewrites nothing; else a new one.
    pub fn mac(&self, id: &ClientId) -> Option<String> {
        let key = self.key.as_ref()?;
        let status = self.object.status.as_ref();
        let on_secret = self.secret.as_ref().map(ResourceExt::annotations);
        let recorded = [
            on_secret.and_then(|annotations| annotations.get(BINDING_ANNOTATION)),
            status.and_then(|status| status.binding_mac.as_ref()),
        ];
        let is_valid = |mac: &&String| key.verify(self.bound(), id, mac) == Verification::Valid;
        let valid = recorded.into_iter().flatten().find(is_valid).cloned();
        Some(valid.unwrap_or_else(|| key.mac(self.bound(), id)))
    }

    /// Whether the object's own Secret shows knowledge of the secret of a client that the vendor returned.
    pub fn own_secret_proves(&self, id: &ClientId, client: &VendorClient) -> bool {
        let token_url = self.connection.as_ref().map(|c| c.client.token_url());
        let (Some(found), Some(client_secret), Some(token_url)) =
            (&self.secret, &client.client_secret, token_url)
        else {
            return false;
        };
        let values = Values {
            client_id: id.as_str(),
            client_secret,
            token_url: &token_url,
        };
        secret::proves(found, &self.object, values)
    }

    /// The hash of the content that the Secret should have; `None` without credentials at hand.
    pub fn content_hash(&self, id: &ClientId) -> Option<String> {
        let content = self.desired_secret(id)?.data?;
        Some(self.key.as_ref()?.digest(&content))
    }

    /// The hash of the client's secret at hand.
    pub fn client_secret_hash(&self, id: &ClientId) -> Option<String> {
        let secret = self.client.as_ref()?.client_secret.as_ref()?;
        Some(self.key.as_ref()?.secret_hash(id, secret))
    }

    /// Takes in a client that the vendor returned, compared with the spec, the Secret and the open rotation.
    pub fn take_client(
        &mut self,
        facts: &Facts,
        id: &ClientId,
        client: VendorClient,
    ) -> ClientAnswer {
        let (differs, credentials, active) = (
            differing(&self.object.spec, &client),
            client.client_secret.is_some(),
            client.is_active() != Some(false),
        );
        // An answer to a PUT without the secret does not discard the one at hand.
        let client_secret = client
            .client_secret
            .clone()
            .or_else(|| self.client.take().and_then(|former| former.client_secret));
        self.client = Some(VendorClient {
            client_secret,
            ..client
        });
        ClientAnswer {
            differs,
            credentials,
            active,
            secret: self.compare_secret(&facts.secret, id),
            rotation: self.compare_rotation(id),
            restart: !self.restarted && self.must_restart(id),
        }
    }

    /// The Secret, compared with the credentials at hand.
    pub fn compare_secret(&self, known: &SecretFacts, id: &ClientId) -> SecretFacts {
        let Some(observed) = &self.secret else {
            return self.compare_hash(known.clone(), id);
        };
        let Some(desired) = self.desired_secret(id) else {
            return known.clone();
        };
        let content = if secret::is_current(observed, &desired) {
            Content::Current
        } else {
            Content::Stale
        };
        self.secret_facts(&SecretMetadata::of(&observed.metadata), content)
    }

    // A Secret that is known by its version holds what status says. The vendor may have another secret by now.
    fn compare_hash(&self, known: SecretFacts, id: &ClientId) -> SecretFacts {
        if known.content() != Content::Current {
            return known;
        }
        let status = self.object.status.as_ref();
        let recorded = status.and_then(|status| status.secret_hash.as_deref());
        match self.content_hash(id) {
            Some(hash) if recorded != Some(&hash) => known.with_content(Content::Stale),
            _ => known,
        }
    }

    // An unchanged secret is remembered: two of them, far apart, prove that the rotation will not happen.
    fn compare_rotation(&self, id: &ClientId) -> Option<SecretChange> {
        let status = self.object.status.as_ref()?;
        let record = status.rotation.as_ref()?;
        let now = self.client_secret_hash(id)?;
        if now != record.previous_secret_hash {
            return Some(SecretChange::Rotated);
        }
        let (uid, wait) = (self.uid(), self.ctx.config.rotation_wait());
        self.ctx.state.rotations.secret_unchanged(&uid, wait);
        let state = self.ctx.state.rotations.observe(&uid, record, wait);
        Some(SecretChange::Unchanged(state))
    }
}
