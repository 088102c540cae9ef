//! What holds at the end of every test, whatever it was about.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;
use provident_core::api::OAuthClient;
use provident_emulator::Operation;

use crate::declared::difference;
use crate::rights::Mode;
use crate::world::{PATIENCE, World, is_ready, ready};

/// Nothing may happen for this long at the end. Longer than any first retry, so that a loop shows itself.
const SILENCE: Duration = Duration::from_millis(2500);

impl World {
    /// All oracles, with at most one create per object.
    pub async fn check(self) {
        self.check_with(&[]).await;
    }

    /// All oracles; `decisions` names objects for which a person decided, and how often, that a create be made again.
    pub async fn check_with(self, decisions: &[(&str, usize)]) {
        self.silence().await;
        self.creates_once(decisions).await;
        for object in self.objects().list(&ListParams::default()).await.unwrap() {
            self.tells_the_truth(&object).await;
        }
        self.keeps_secrets_secret().await;
        self.logs_well();
        self.asks_for_nothing_refused();
    }

    // The account has every right that it needs, and needs none that it has not.
    fn asks_for_nothing_refused(&self) {
        let mut refused = self.audit.refused();
        // Without a ClusterRole whether the definitions are whole, or are being deleted, cannot be known. It does without.
        let blind = self.mode == Mode::Tenant;
        refused.retain(|asked| !(blind && asked.resource == "customresourcedefinitions"));
        assert_eq!(refused, [], "refused by RBAC");
    }

    /// O5: after the last change no object is written and the vendor is not called.
    pub async fn silence(&self) {
        let start = Instant::now();
        loop {
            let before = self.snapshot().await;
            self.watch_for(SILENCE).await;
            let after = self.snapshot().await;
            if before == after {
                return;
            }
            if start.elapsed() > PATIENCE {
                self.fail(&format!(
                    "there is no silence: {before:#?} became {after:#?}"
                ))
                .await;
            }
        }
    }

    // The version of every object an operator may write, and the number of calls at the vendor.
    async fn snapshot(&self) -> BTreeMap<String, String> {
        let group = "/apis/oauth.provident.ae/v1alpha1";
        let paths = [
            format!("{group}/namespaces/{}/oauthclients", self.namespace),
            format!("/api/v1/namespaces/{}/secrets", self.namespace),
            format!("/api/v1/namespaces/{}/secrets", self.system),
        ];
        let mut versions = BTreeMap::new();
        for path in &paths {
            let list = self.get_json(path).await;
            for item in list["items"].as_array().unwrap() {
                versions.insert(
                    format!("{path}/{}", item["metadata"]["name"]),
                    item["metadata"]["resourceVersion"].to_string(),
                );
            }
        }
        // A test may delete it.
        let connection = self.connections().get_opt(&self.connection).await.unwrap();
        versions.insert(
            "connection".to_owned(),
            connection
                .and_then(|found| found.resource_version())
                .unwrap_or_default(),
        );
        versions.insert(
            "vendor calls".to_owned(),
            self.emulator.calls().len().to_string(),
        );
        versions
    }

    // O1: clients made per object at the vendor.
    async fn creates_once(&self, decisions: &[(&str, usize)]) {
        let mut made: BTreeMap<String, usize> = BTreeMap::new();
        for call in self.emulator.calls() {
            if call.operation == Operation::Create && call.committed {
                *made.entry(call.name.unwrap_or_default()).or_default() += 1;
            }
        }
        for (vendor_name, count) in made {
            let decided = decisions
                .iter()
                .find(|(name, _)| self.vendor_name(name) == vendor_name)
                .map_or(0, |(_, decided)| *decided);
            if count > 1 + decided {
                self.fail(&format!("{vendor_name} was created {count} times"))
                    .await;
            }
        }
    }

    // O2: Ready means that the Secret opens the vendor's client and that client is as declared; else status says why.
    async fn tells_the_truth(&self, object: &OAuthClient) {
        let name = object.name_any();
        if !is_ready(object) {
            let reported = ready(object).is_some_and(|ready| {
                ready.status == "False"
                    && !ready.message.is_empty()
                    && ready.observed_generation == object.metadata.generation
            });
            if !reported {
                self.fail(&format!(
                    "{name} is neither Ready nor reported with a reason"
                ))
                .await;
            }
            return;
        }
        let client_id = object.status.as_ref().unwrap().client_id.clone().unwrap();
        let vendor = self.emulator.client(&client_id);
        let secret = self.secret(object.secret_name()).await;
        match (vendor, secret) {
            (Some(vendor), Some(secret)) => {
                if let Some(what) = difference(object, &vendor, &secret, &self.token_url()) {
                    self.fail(&format!("{name} is Ready, and {what} differs"))
                        .await;
                }
            }
            (vendor, secret) => {
                let there = (vendor.is_some(), secret.is_some());
                self.fail(&format!(
                    "{name} is Ready; (vendor's client, Secret) there: {there:?}"
                ))
                .await;
            }
        }
    }
}
