//! Scenario 55: a walk through the schema. Every field through deletion, emptiness, its bounds, each value of an enum, one
//! member more and one less, in random order; after each step the client is as declared, or the API server has refused
//! the step with a message; and at the end all is as it was at the start.
//!
//! `WALK_SEED` repeats a walk, `WALK_STEPS` makes it as long as one likes.

mod moves;
mod samples;

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Secret;
use provident_core::api::{ConditionType, DriftPolicy, OAuthClient, Reason};
use provident_emulator::{Operation, Options, StoredClient};
use serde_json::{Value, json};

use self::moves::{Change, Move, all, fields};
use self::samples::{SCOPES, padded, sample};
use crate::declared::{differing_field, wrong_on_secret};
use crate::settled::condition_of;
use crate::world::{PATIENCE, World};

const NAME: &str = "walker";
/// A walk without `WALK_STEPS` ends after this time.
const TIME: Duration = Duration::from_secs(20);

/// What an object must say after a step.
#[derive(Debug, PartialEq)]
enum End {
    /// As declared.
    Ready,
    /// `driftPolicy: Report`, and the vendor's client is another.
    Drifted,
    /// A person must decide, as the reason documents.
    ConditionUpdate(Reason),
    /// `suspend: true`: as before.
    Paused,
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no number")),
    )
}

/// Every client field is stated, so that its end differs from its start at the vendor too.
fn start() -> Value {
    json!({
        "name": "Walker", "redirectUris": ["https://walk.example/start"], "allowedScopes": ["listings:read"],
        "tokenLifetimeSeconds": 3600, "rateLimitCount": 200, "rateLimitWindowSeconds": 43200,
        "ipRestriction": false, "allowedIps": ["203.0.113.0/24"], "isActive": true,
    })
}

#[tokio::test]
async fn s55_a_walk_through_the_schema_converges_after_every_step_and_comes_back() {
    let seed = variable("WALK_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs() << 10 | u64::from(now.subsec_millis())
    });
    let steps = variable("WALK_STEPS");
    println!("walk: WALK_SEED={seed}");
    let mut random = Random(seed.max(1));
    let mut scopes: Vec<_> = (0..SCOPES).map(|n| sample("allowedScopes[]", n)).collect();
    scopes.extend(["listings:read".to_owned(), padded("allowedScopes[]", 256)]);
    let world = World::start_with(Options {
        scopes,
        ..Options::default()
    })
    .await;
    let _operator = world.start_operator();
    let client_id = world.settled(NAME, start()).await;
    let first = Seen::of(&world, &client_id).await;

    let known = all();
    for field in fields() {
        let moves = known
            .iter()
            .filter(|step| step.path.split('.').next() == Some(&*field))
            .count();
        assert!(moves >= 2, "spec.{field}: only {moves} moves");
    }
    let (begun, mut walked, mut refused, mut idle) = (Instant::now(), 0, 0, 0);
    let mut todo: Vec<Move> = Vec::new();
    let mut tried = BTreeMap::<String, usize>::new();
    while steps.map_or(begun.elapsed() < TIME, |steps| walked < steps) {
        if todo.is_empty() {
            todo = known.clone();
            random.shuffle(&mut todo);
        }
        // A walk that does not move shows little.
        let step = world
            .way_out(idle)
            .await
            .unwrap_or_else(|| todo.pop().unwrap());
        let end = world.take(&step, &client_id, seed, walked).await;
        refused += u64::from(end.is_none());
        idle = match end {
            Some(End::Paused | End::Drifted) => idle + 1,
            Some(End::Ready | End::ConditionUpdate(_)) => 0,
            None => idle,
        };
        *tried.entry(step.path.clone()).or_default() += 1;
        walked += 1;
    }
    println!(
        "walk: {walked} steps of {} moves over {} fields in {:?}, {refused} refused by the API server; WALK_SEED={seed}",
        known.len(),
        tried.len(),
        begun.elapsed()
    );

    world.replace_spec(&first.spec).await.unwrap();
    world.until_ready(NAME).await;
    world.silence().await;
    assert_eq!(
        Seen::of(&world, &client_id).await,
        first,
        "back at the start, WALK_SEED={seed}"
    );
    assert_eq!(world.emulator.commits(Operation::Create), 1);
    assert_eq!(world.emulator.commits(Operation::Rotate), 0);
    world.check().await;
}

/// All there is to see of a client.
#[derive(Debug, PartialEq)]
struct Seen {
    spec: Value,
    conditions: Vec<(String, String, String)>,
    vendor: StoredClient,
    secret: Secret,
}

impl Seen {
    async fn of(world: &World, client_id: &str) -> Self {
        let object = world.get(NAME).await;
        let mut vendor = world.emulator.client(client_id).unwrap();
        vendor.updated_at = vendor.created_at;
        let mut secret = world.secret(NAME).await.unwrap();
        secret.metadata.resource_version = None;
        secret.metadata.managed_fields = None;
        let types = [
            ConditionType::Ready,
            ConditionType::Synced,
            ConditionType::SecretReady,
            ConditionType::Stalled,
        ];
        Self {
            spec: serde_json::to_value(&object.spec).unwrap(),
            conditions: types.map(|type_| condition_of(&object, type_)).into(),
            vendor,
            secret,
        }
    }
}

impl World {
    /// The step that ends a pause, or the mere reporting of differences, that has gone on for some steps.
    async fn way_out(&self, idle: usize) -> Option<Move> {
        let suspended = self.get(NAME).await.spec.suspend == Some(true);
        let (path, change) = if suspended && idle > 3 {
            ("suspend", Change::Set(json!(false)))
        } else if idle > 8 {
            ("driftPolicy", Change::Delete)
        } else {
            return None;
        };
        Some(Move {
            path: path.to_owned(),
            change,
            refused: false,
        })
    }

    /// One step, and what comes of it; `None` if the API server refuses it.
    async fn take(&self, step: &Move, client_id: &str, seed: u64, number: u64) -> Option<End> {
        let here = || format!("step {number}, {step:?}, WALK_SEED={seed}");
        let mut spec = serde_json::to_value(&self.get(NAME).await.spec).unwrap();
        step.change.make(&mut spec, &step.path);
        let vendor = self.emulator.client(client_id).unwrap();
        let calls = self.emulator.calls().len();
        let object = match self.replace_spec(&spec).await {
            Ok(object) => object,
            Err(kube::Error::Api(status)) if status.code == 422 => {
                let field = step.path.split('.').next().unwrap();
                assert!(
                    status.message.contains(field),
                    "{}: {}",
                    here(),
                    status.message
                );
                return None;
            }
            Err(error) => panic!("{}: {error}", here()),
        };
        assert!(!step.refused, "{}: accepted", here());
        let end = end(&object, &vendor);
        if end == End::Paused {
            // What it does not do until then shows in the next step: here only that nothing is asked.
            assert_eq!(self.emulator.calls().len(), calls, "{}", here());
            return Some(end);
        }
        let begun = Instant::now();
        while !self.has_come_to(&end, client_id).await {
            if begun.elapsed() > PATIENCE {
                self.fail(&format!("not {end:?}: {}", here())).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(end)
    }

    async fn has_come_to(&self, end: &End, client_id: &str) -> bool {
        let object = self.get(NAME).await;
        let observed = object
            .status
            .as_ref()
            .and_then(|status| status.observed_generation);
        if observed != object.metadata.generation {
            return false;
        }
        let (ready, reason, _) = condition_of(&object, ConditionType::Ready);
        let synced = condition_of(&object, ConditionType::Synced);
        let vendor = self.emulator.client(client_id).unwrap();
        let as_told = match end {
            End::Ready => {
                ready == "True" && synced.0 == "True" && differing_field(&object, &vendor).is_none()
            }
            End::Drifted => ready == "True" && synced.1 == Reason::Drifted.as_str(),
            End::ConditionUpdate(wanted) => ready == "False" && reason == wanted.as_str(),
            End::Paused => true,
        };
        let secret = self.secret(NAME).await;
        let secret = secret.is_some_and(|secret| {
            wrong_on_secret(&object, &vendor, &secret, &self.token_url()).is_none()
        });
        as_told && secret
    }

    async fn replace_spec(&self, spec: &Value) -> kube::Result<OAuthClient> {
        let path = format!(
            "/apis/oauth.provident.ae/v1alpha1/namespaces/{}/oauthclients/{NAME}",
            self.namespace
        );
        let edit = json!([{ "op": "replace", "path": "/spec", "value": spec }]);
        let request =
            http::Request::patch(path).header("content-type", "application/json-patch+json");
        self.client
            .request(request.body(serde_json::to_vec(&edit).unwrap()).unwrap())
            .await
    }
}

/// What a spec must lead to, given the vendor's client before.
fn end(object: &OAuthClient, vendor: &StoredClient) -> End {
    let spec = &object.spec;
    if spec.suspend == Some(true) {
        return End::Paused;
    }
    let silent_and_inactive = spec.is_active.is_none() && !vendor.is_active;
    let mut as_if_active = vendor.clone();
    as_if_active.is_active |= silent_and_inactive;
    let differs = differing_field(object, &as_if_active).is_some();
    let restricted = spec.ip_restriction.unwrap_or(vendor.ip_restriction);
    let addresses = spec.allowed_ips.as_ref().unwrap_or(&vendor.allowed_ips);
    let report = spec.drift_policy == DriftPolicy::Report;
    // The worst first: an inactive client serves nobody, whatever else differs.
    if report && !vendor.is_active && spec.is_active != Some(false) {
        End::ConditionUpdate(Reason::DeactivatedAtVendor)
    } else if differs && report {
        End::Drifted
    } else if differs && restricted && addresses.is_empty() {
        // The spec is silent on the restriction, so the API server cannot know; the vendor refuses.
        End::ConditionUpdate(Reason::SpecRejected)
    } else if silent_and_inactive {
        End::ConditionUpdate(Reason::DeactivatedAtVendor)
    } else {
        End::Ready
    }
}
