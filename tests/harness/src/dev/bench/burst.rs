//! The speed of many clients at once and of one after another, compared with the floor.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::PostParams;

use super::counts::{Counts, precise};
use super::floor::{self, Speed};
use super::load::{self, quantile};
use super::table::{Row, Table, ms};
use super::test_env::{GROUP, TestEnv};
use super::usage::Usage;
use super::witness::Witness;

/// Objects that the operator reconciles at once by default, and so the number of the floor's workers.
pub const WORKERS: usize = 64;
/// The speed and the cost of a burst.
#[derive(Debug, Default)]
pub struct Burst {
    pub speed: Speed,
    pub requests: Counts,
    /// Calls to the vendor.
    pub calls: u64,
    /// Clients that the vendor created.
    pub created: u64,
}

impl Burst {
    /// Adds another burst.
    pub fn add(&mut self, more: Self) {
        self.speed.add(more.speed);
        self.requests = std::mem::take(&mut self.requests).and(&more.requests);
        self.calls += more.calls;
        self.created += more.created;
    }
}

/// Creates `count` objects and waits until all of them are Ready.
pub async fn burst(env: &TestEnv, prefix: &str, count: usize) -> Result<Burst> {
    let witness = Witness::of(env, GROUP);
    let names = load::names(prefix, count);
    let objects = env.objects(GROUP);
    let (requests, vendor, used) = (
        Counts::read(&env.client).await?,
        env.vendor.calls().await?,
        Usage::read(env)?,
    );
    let start = Instant::now();
    let asked = load::declare(&objects, GROUP, &names, drop).await?;
    let took = witness.all_ready(&names).await?.duration_since(start);
    witness.all_secrets(&names).await?;
    let usage = Usage::read(env)?.since(&used);
    let latencies = floor::latencies(&witness, &asked, Witness::secret);
    // The requests after Ready, such as the reconcile that finds nothing to do, are part of the cost.
    env.silence(Duration::from_secs(3)).await?;
    let after = (Counts::read(&env.client).await?, env.vendor.calls().await?);
    let declared = u64::try_from(count)?;
    Ok(Burst {
        speed: Speed {
            took,
            latencies,
            usage,
        },
        requests: after
            .0
            .since(&requests)
            .without("oauthclients", "POST", declared),
        calls: after.1.since(&vendor),
        created: after.1.created - vendor.created,
    })
}

/// Compares a burst with the floors that were measured before, between and after its parts. One floor would not be enough: the API
/// server slows down as it fills, and other processes may use the machine.
pub fn against(table: &mut Table, what: &str, burst: &Speed, floors: &[Speed]) {
    let rates: Vec<String> = floors.iter().map(|f| format!("{:.0}", f.rate())).collect();
    let mut floor = Speed::default();
    for one in floors {
        floor.add(one.clone());
    }
    let rate = floor.rate();
    let ratio = burst.rate() / rate;
    let floors = format!("{rate:.0}/s (alternating with it: {})", rates.join(", "));
    table.add(
        Row::new(
            format!("{what}: clients to Ready"),
            format!("{:.0}/s", burst.rate()),
        )
        .floor(floors, ratio)
        .target("0.90", ratio >= 0.9),
    );
    let (count, all) = (burst.latencies.len(), floor.latencies.len());
    let (ours, theirs) = (burst.usage.all(count), floor.usage.all(all));
    table.add(
        Row::new(
            format!("{what}: CPU time of all programs per client"),
            format!("{ours:.2} ms ({})", burst.usage.describe(count)),
        )
        .floor(
            format!("{theirs:.2} ms ({})", floor.usage.describe(all)),
            ours / theirs,
        ),
    );
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let (ours, theirs) = (
            quantile(&burst.latencies, part),
            quantile(&floor.latencies, part),
        );
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        table.add(
            Row::new(format!("{what}: declaration to Secret, {name}"), ms(ours))
                .floor(ms(theirs), ratio),
        );
    }
}

/// Requests and calls per client.
pub fn price(table: &mut Table, burst: &Burst) {
    let count = u64::try_from(burst.speed.latencies.len()).unwrap_or(u64::MAX);
    let each = |total: u64| format!("{:.3}", precise(total) / precise(count));
    let requests = &burst.requests;
    // The operator drops a claim that took over 2 s to write, and repeats preflight and claim: two more writes and a dry run.
    let repeated = requests.dry_runs().saturating_sub(count);
    table.add(
        Row::new(
            "stored writes, dry runs per client",
            format!("{}, {}", each(requests.stored()), each(requests.dry_runs())),
        )
        .promise(
            format!("4, 1, and 2, 1 more for {repeated} claims that took over 2 s"),
            requests.stored() == 4 * count + 2 * repeated && requests.dry_runs() >= count,
        ),
    );
    let (calls, created) = (burst.calls, burst.created);
    table.add(Row::new("vendor calls per client", each(calls)).target("1", calls == count));
    table.add(
        Row::new("clients created at the vendor per client", each(created))
            .promise("1, no duplicate", created == count),
    );
    table.add(Row::new(
        "also: events, reads, refused writes, lists and ended watches",
        format!(
            "{}, {}, {}, {}",
            each(requests.events()),
            each(requests.gets()),
            each(requests.refused()),
            each(requests.lists()),
        ),
    ));
    table.add(Row::new(
        "all requests per client, as the API server counts them",
        requests.per(count),
    ));
}

/// Whether the price stays the same as the number of clients grows.
pub fn growth(table: &mut Table, few: &Burst, many: &Burst) {
    let counts = [few, many].map(|burst| burst.speed.latencies.len());
    let [before, now] = [few, many].map(|burst| {
        let clients = burst.speed.latencies.len();
        burst.speed.usage.of("operator", clients)
    });
    let what = format!(
        "operator's processor time per client, {} and then {} more",
        counts[0], counts[1]
    );
    let ratio = now / before;
    table.add(
        Row::new(
            what,
            format!("{before:.2} ms, {now:.2} ms ({ratio:.2} times)"),
        )
        .target("flat, at most 1.2", ratio <= 1.2),
    );
    let per =
        |burst: &Burst| precise(burst.requests.all()) / precise(burst.speed.latencies.len() as u64);
    table.add(Row::new(
        "requests per client, the same",
        format!("{:.2}, {:.2}", per(few), per(many)),
    ));
}

/// One client after another, by the operator.
pub async fn one_by_one(env: &TestEnv, prefix: &str, count: usize) -> Result<Speed> {
    let witness = Witness::of(env, GROUP);
    let objects = env.objects(GROUP);
    let start = Instant::now();
    let mut speed = Speed::default();
    for name in load::names(prefix, count) {
        let asked = Instant::now();
        objects
            .create(&PostParams::default(), &load::client(GROUP, &name))
            .await?;
        let name = std::slice::from_ref(&name);
        witness.all_ready(name).await?;
        let secret = witness.all_secrets(name).await?;
        speed.latencies.push(secret.duration_since(asked));
    }
    speed.took = start.elapsed();
    Ok(speed)
}

/// The latencies of [`one_by_one`] against the floor's.
pub fn idle(table: &mut Table, what: &str, ours: &Speed, theirs: &Speed) {
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let pair = [ours, theirs].map(|speed| quantile(&speed.latencies, part));
        let ratio = pair[0].as_secs_f64() / pair[1].as_secs_f64();
        let row = Row::new(
            format!(
                "{what}: declaration to Secret, {name} of {}",
                ours.latencies.len()
            ),
            ms(pair[0]),
        );
        let row = row.floor(ms(pair[1]), ratio);
        table.add(if name == "p99" {
            row.target("at most 2", ratio <= 2.0)
        } else {
            row
        });
    }
}
