//! Changes to existing clients: all edited at once, all rotated at once, and one that always fails among the others.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::burst;
use super::counts::{Counts, precise};
use super::floor;
use super::load::{self, quantile};
use super::table::{Row, Table, ms};
use super::test_env::{GROUP, TestEnv};
use super::witness::Witness;

/// Gives every client another redirect URI.
pub async fn edit(table: &mut Table, env: &TestEnv, names: &[String]) -> Result<()> {
    let patch = json!({ "spec": { "redirectUris": ["https://shop.example.com/auth/other"] } });
    change(
        table,
        env,
        names,
        "an edit of every client",
        &patch,
        |witness, name, start| {
            // Ready refers to the newest generation, which is the edited one only from `start` on.
            witness.object(name)?.ready.filter(|at| *at > start)
        },
    )
    .await
}

/// Rotates the secret of every client.
pub async fn rotate(table: &mut Table, env: &TestEnv, names: &[String]) -> Result<()> {
    let patch = json!({ "metadata": { "annotations": { "oauth.provident.ae/rotate": "bench" } } });
    change(
        table,
        env,
        names,
        "a rotation of every client",
        &patch,
        |witness, name, _| {
            let (token, at) = witness.object(name)?.rotated?;
            (token == "bench").then_some(at)
        },
    )
    .await
}

async fn change(
    table: &mut Table,
    env: &TestEnv,
    names: &[String],
    what: &str,
    patch: &Value,
    done: impl Fn(&Witness, &str, Instant) -> Option<Instant>,
) -> Result<()> {
    let witness = Witness::of(env, GROUP);
    witness.all_ready(names).await?;
    let before = (Counts::read(&env.client).await?, env.vendor.calls().await?);
    let start = Instant::now();
    let done = |witness: &Witness, name: &str| done(witness, name, start);
    let asked = load::patch_all(&env.objects(GROUP), names, patch).await?;
    let took = witness.all(names, &done).await?.duration_since(start);
    let took_each = floor::latencies(&witness, &asked, done);
    env.silence(Duration::from_secs(3)).await?;
    let count = u64::try_from(names.len())?;
    let requests = Counts::read(&env.client).await?.since(&before.0);
    let requests = requests.without("oauthclients", "PATCH", count);
    let calls = env.vendor.calls().await?.since(&before.1);
    table.add(Row::new(
        format!("{what}: rate, p50, p99"),
        format!(
            "{:.0}/s, {}, {}",
            precise(count) / took.as_secs_f64(),
            ms(quantile(&took_each, 0.5)),
            ms(quantile(&took_each, 0.99)),
        ),
    ));
    table.add(Row::new(
        format!("{what}: stored writes, vendor calls, events, reads per client"),
        format!(
            "{:.2}, {:.2}, {:.2}, {:.2}",
            precise(requests.stored()) / precise(count),
            precise(calls) / precise(count),
            precise(requests.events()) / precise(count),
            precise(requests.gets()) / precise(count),
        ),
    ));
    Ok(())
}

/// Measures other clients while the vendor answers every call for one client with 500.
pub async fn poison(table: &mut Table, env: &TestEnv, name: &str, others: usize) -> Result<()> {
    let witness = Witness::of(env, GROUP);
    let names = [name.to_owned()];
    witness.all_ready(&names).await?;
    let client_id = witness.object(name).unwrap_or_default().client_id;
    let without = burst::one_by_one(env, "without-failing", others).await?;
    for operation in ["get", "update"] {
        let answer = json!({ "answer": { "when": "beforeCommit", "status": 500 } });
        let rule = json!({ "operation": operation, "client": client_id, "fault": answer });
        env.vendor.add_fault(&rule).await?;
    }
    let patch =
        json!({ "metadata": { "annotations": { "oauth.provident.ae/reconcile": "bench" } } });
    load::patch_all(&env.objects(GROUP), &names, &patch).await?;
    let before = env.vendor.calls().await?;
    let start = Instant::now();
    let with = burst::one_by_one(env, "with-failing", others).await?;
    let calls = env.vendor.calls().await?;
    let (gets, seconds) = (
        calls.of("get") - before.of("get"),
        start.elapsed().as_secs_f64(),
    );
    let [without, with] = [&without, &with].map(|speed| quantile(&speed.latencies, 0.99));
    table.add(Row::new(
        format!("one client that always fails: p99 of {others} others without and with it"),
        format!(
            "{}, {} ({:.2} times)",
            ms(without),
            ms(with),
            with.as_secs_f64() / without.as_secs_f64(),
        ),
    ));
    table.add(Row::new(
        "one client that always fails: calls for it, with the probes of its connection",
        format!("{gets} in {seconds:.0} s"),
    ));
    env.vendor.clear().await
}
