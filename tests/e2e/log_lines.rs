//! What is in the log: no body of any response, and lines that a strict parser takes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use harness::faults::{Effect, Fault, RequestInfo};
use provident_emulator as vendor;
use provident_emulator::{Operation, Rule};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use crate::requests::strike_from;
use crate::world::World;

/// JSON in which no object has a key twice.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("{twice:?} twice")));
            }
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

impl World {
    /// Every line of JSON has unique keys, and every line is of this program.
    pub fn logs_well(&self) {
        let (json, text) = (self.log.json(), self.log.text());
        for line in json.lines() {
            let read = serde_json::from_str::<UniqueKeys>(line);
            read.unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(
                line.contains("\"target\":\"provident_"),
                "of a library: {line}"
            );
        }
        assert!(
            !text.contains('\u{1b}'),
            "colours where there is no terminal"
        );
    }
}

#[tokio::test]
async fn what_the_api_server_answers_is_not_logged_though_it_cannot_be_decoded() {
    let world = World::start().await;
    let operator = world.start_operator();
    world.settled("web", json!({})).await;
    // Secrets by name, with the credentials in them, and answers to writes.
    let read = |request: &RequestInfo| request.resource == "secrets" && request.name.is_some();
    let fault = Fault::after(Effect::Undecodable);
    let broken = strike_from(&operator.faults, 1, Arc::new(read), fault);
    world
        .patch("web", json!({ "spec": { "secret": { "stringData": { "id": "$(clientId)", "s": "$(clientSecret)" } } } }))
        .await;
    world
        .eventually("answers are undecodable", async || broken.count() >= 2)
        .await;
    let logged = async || world.log.text().contains("could not be decoded");
    world.eventually("that is logged", logged).await;
    operator.faults.clear();
    world.until_ready("web").await;
    // The span of a line names the object and nothing else.
    let object = format!("reconcile{{object=OAuthClient/{}/web}}", world.namespace);
    assert!(world.log.text().contains(&object), "{}", world.log.tail());
    world.check().await;
}

#[tokio::test]
async fn what_the_vendor_answers_is_not_logged_though_it_cannot_be_decoded() {
    let world = World::start().await;
    let _operator = world.start_operator();
    let client_id = world.settled("web", json!({})).await;
    let faults = [
        vendor::Fault::TruncatedBody,
        vendor::Fault::HtmlBody,
        vendor::Fault::EmptyBody,
        vendor::Fault::DeepJson { depth: 500 },
        vendor::Fault::WrongClientId("0705e1a5afa8e3dcb37c2e3353a82bc8".to_owned()),
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        world.emulator.faults().add(Rule {
            operation: Operation::Get,
            client: None,
            fault,
            every: None,
            count: Some(1),
        });
        let calls = world.emulator.calls().len();
        let request = json!({ "metadata": { "annotations": { "oauth.provident.ae/reconcile": index.to_string() } } });
        world.patch("web", request).await;
        let asked = async || world.emulator.calls().len() > calls;
        world.eventually("the vendor is asked", asked).await;
    }
    assert_eq!(world.until_ready("web").await, client_id);
    world.check().await;
}
