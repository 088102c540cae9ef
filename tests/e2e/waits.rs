//! Conditions that a test waits for. One that does not come fails the test with all there is to see.

use std::time::{Duration, Instant};

use harness::faults::Faults;
use kube::ResourceExt;
use provident_core::api::{ConditionType, OAuthClient, Reason, find};
use provident_emulator::Emulator;
use serde_json::Value;

use crate::operator::Operator;
use crate::world::{PATIENCE, World, attempt, is_ready, is_stalled, ready};

impl World {
    /// Waits until the object is as `done` says, and returns it.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        done: impl Fn(&OAuthClient) -> bool,
    ) -> OAuthClient {
        let start = Instant::now();
        loop {
            let object = self.get(name).await;
            if done(&object) {
                return object;
            }
            if start.elapsed() > PATIENCE {
                self.fail(&format!("{name} is not {what}")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the object is Ready at its newest generation, and returns its clientId.
    pub async fn until_ready(&self, name: &str) -> String {
        let object = self.until(name, "Ready", is_ready).await;
        object.status.unwrap().client_id.unwrap()
    }

    /// Waits until the object is not Ready for this reason, and returns the message.
    pub async fn until_reason(&self, name: &str, reason: Reason) -> String {
        let such = |object: &OAuthClient| {
            ready(object).is_some_and(|ready| {
                ready.status == "False"
                    && ready.reason == reason.as_str()
                    && ready.observed_generation == object.metadata.generation
            })
        };
        let object = self.until(name, reason.as_str(), such).await;
        ready(&object).unwrap().message.clone()
    }

    /// Waits until the object is not Ready for this reason and nothing is open: no claim, and no person is asked.
    pub async fn until_dropped(&self, name: &str, reason: Reason) -> String {
        let such = |object: &OAuthClient| {
            ready(object).is_some_and(|ready| ready.reason == reason.as_str())
                && attempt(object).is_none()
                && !is_stalled(object)
        };
        let object = self
            .until(name, "refused and its claim dropped", such)
            .await;
        ready(&object).unwrap().message.clone()
    }

    /// Waits until the object is gone.
    pub async fn until_gone(&self, name: &str) {
        let start = Instant::now();
        while self.objects().get_opt(name).await.unwrap().is_some() {
            if start.elapsed() > PATIENCE {
                self.fail(&format!("{name} is not gone")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the vendor has seen this.
    pub async fn until_vendor(&self, what: &str, seen: impl Fn(&Emulator) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, self.emulator.until(seen)).await;
        if waited.is_err() {
            self.fail(&format!("the vendor: not {what}")).await;
        }
    }

    /// Waits until the connection says this reason for its `Ready`, and returns the message.
    pub async fn until_connection(&self, reason: Reason) -> String {
        let start = Instant::now();
        loop {
            let status = self
                .connections()
                .get(&self.connection)
                .await
                .unwrap()
                .status;
            let conditions = status.unwrap_or_default().conditions;
            let ready = find(&conditions, ConditionType::Ready);
            if let Some(ready) = ready.filter(|ready| ready.reason == reason.as_str()) {
                return ready.message.clone();
            }
            if start.elapsed() > PATIENCE {
                self.fail(&format!("the connection is not {reason}")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the connection's `Ready` has this reason and a message that contains `text`.
    pub async fn until_connection_says(&self, reason: Reason, text: &str) {
        let start = Instant::now();
        while !self.until_connection(reason).await.contains(text) {
            if start.elapsed() > PATIENCE {
                self.fail(&format!("the connection does not say: {text}"))
                    .await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until this event about the object is there; events are written beside all else.
    pub async fn until_event(&self, name: &str, event: &str) {
        let start = Instant::now();
        while !self.events(name).await.iter().any(|seen| seen == event) {
            if start.elapsed() > PATIENCE {
                self.fail(&format!("{name} has no event {event}")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an operator has made such requests.
    pub async fn until_requests(
        &self,
        operator: &Operator,
        what: &str,
        made: impl Fn(&Faults) -> bool,
    ) {
        let start = Instant::now();
        while !made(&operator.faults) {
            if start.elapsed() > PATIENCE {
                self.fail(&format!("the operator: not {what}")).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The events about an object, as `kubectl describe` shows them: `reason: note`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let list: Value = self
            .get_json(&format!(
                "/apis/events.k8s.io/v1/namespaces/{}/events",
                self.namespace
            ))
            .await;
        let items = list["items"].as_array().unwrap();
        let about = items
            .iter()
            .filter(|event| event["regarding"]["name"] == name);
        about
            .map(|event| {
                let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
                format!("{}: {}", text("reason"), text("note"))
            })
            .collect()
    }

    /// Fails the test, with all there is to see.
    pub async fn fail(&self, what: &str) -> ! {
        let objects = self.objects().list(&kube::api::ListParams::default()).await;
        let mut seen = Vec::new();
        for object in objects.unwrap() {
            let name = object.name_any();
            let status = serde_json::to_string_pretty(&object.status).unwrap();
            let meta = &object.metadata;
            seen.push(format!(
                "{name}: generation {:?}, finalizers {:?}, deleted {:?}\n{status}\nevents: {:#?}\n",
                meta.generation,
                meta.finalizers,
                meta.deletion_timestamp,
                self.events(&name).await
            ));
        }
        let seen = seen.concat();
        let connection = self.connections().get_opt(&self.connection).await.unwrap();
        let connection = connection.and_then(|connection| connection.status);
        panic!(
            "{what}\n{seen}\nconnection: {connection:#?}\nvendor: {:#?}\nlog:\n{}",
            self.emulator.calls(),
            self.log.tail()
        );
    }
}
