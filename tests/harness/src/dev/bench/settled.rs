//! An operator that has nothing to do: its idle cost, a restart, and its memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::counts::{Counts, precise};
use super::load;
use super::table::{Row, Table, mib};
use super::test_env::{GROUP, NAMESPACE, TestEnv, until};
use super::witness::Witness;

/// Secrets that the operator does not own.
const STRANGERS: u32 = 20_000;
/// Bytes of each.
const STRANGERS_SIZE: usize = 10 * 1024;
/// The operator is settled when there was no request for this long.
const QUIET: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_mins(1);

/// The operator's memory after a burst.
pub fn memory(table: &mut Table, env: &TestEnv, clients: usize) -> Result<u64> {
    let memory = env.memory()?;
    let value = format!(
        "{:.1} MiB, {:.1} MiB; {:.1} MiB",
        mib(memory.now),
        mib(memory.peak),
        mib(memory.file),
    );
    let row = Row::new(
        format!("resident memory with {clients} clients: settled, peak; pages of the binary"),
        value,
    );
    table.add(row.target("40 MiB settled at 10,000", memory.now <= 40 * 1024));
    Ok(memory.now)
}

/// A minute in which nothing changes.
pub async fn idle(table: &mut Table, env: &TestEnv) -> Result<()> {
    env.silence(QUIET).await?;
    let before = (
        Counts::read(&env.client).await?,
        env.vendor.calls().await?,
        env.cpu("operator")?,
    );
    tokio::time::sleep(IDLE).await;
    let cpu = env.cpu("operator")?.saturating_sub(before.2);
    let requests = Counts::read(&env.client).await?.since(&before.0);
    let calls = env.vendor.calls().await?.since(&before.1);
    table.add(
        Row::new(
            "an idle minute: stored writes, vendor calls",
            format!("{}, {calls}", requests.stored()),
        )
        .promise("0, 0", requests.stored() == 0 && calls == 0),
    );
    table.add(Row::new(
        "an idle minute: requests",
        requests.all().to_string(),
    ));
    let milli = cpu.as_secs_f64() * 1000.0 / IDLE.as_secs_f64();
    table.add(
        Row::new("an idle minute: CPU", format!("{milli:.2} mCPU"))
            .target("below 1 mCPU", milli < 1.0),
    );
    Ok(())
}

/// Scenario 45: a restart with all clients settled.
pub async fn restart(table: &mut Table, env: &mut TestEnv, clients: usize) -> Result<()> {
    env.silence(QUIET).await?;
    let begun = Instant::now();
    env.stop_operator().await?;
    let stopped = begun.elapsed();
    let before = (Counts::read(&env.client).await?, env.vendor.calls().await?);
    let started = Instant::now();
    env.start_operator()?;
    let wanted = u64::try_from(clients)?;
    until("every object is reconciled", async || {
        // The request fails until the operator listens.
        let reconciles = env.reconciles().await.unwrap_or_default();
        Ok((reconciles >= wanted).then_some(()))
    })
    .await?;
    let reconciled = started.elapsed();
    env.silence(QUIET).await?;
    let requests = Counts::read(&env.client).await?.since(&before.0);
    let calls = env.vendor.calls().await?.since(&before.1);
    let writes = requests.stored() + requests.events();
    table.add(
        Row::new(
            format!("restart with {clients} settled: writes, vendor calls"),
            format!("{writes}, {calls}"),
        )
        .promise("0, 0 (scenario 45)", writes == 0 && calls == 0),
    );
    table.add(Row::new(
        "restart: reads and lists",
        format!("{}, {}", requests.gets(), requests.lists()),
    ));
    table.add(Row::new(
        "restart: time until it has stopped; until every object is reconciled again",
        format!(
            "{:.2} s; {:.2} s",
            stopped.as_secs_f64(),
            reconciled.as_secs_f64(),
        ),
    ));

    env.stop_operator().await?;
    let name = format!("after-restart-{clients}");
    let witness = Witness::of(env, GROUP);
    let object = load::client(GROUP, &name);
    env.objects(GROUP)
        .create(&PostParams::default(), &object)
        .await?;
    let started = Instant::now();
    env.start_operator()?;
    let ready = witness.all_ready(&[name]).await?.duration_since(started);
    table.add(
        Row::new(
            "restart: from the start until the first new client is Ready",
            format!("{:.2} s", ready.as_secs_f64()),
        )
        .target("3 s at 10,000", ready <= Duration::from_secs(3)),
    );
    Ok(())
}

/// Memory after a restart, without and with very many Secrets that the operator does not own.
pub async fn strangers(table: &mut Table, env: &mut TestEnv) -> Result<()> {
    let alone = after_a_restart(env).await?;
    let secrets: Api<Secret> = Api::namespaced(env.client.clone(), "default");
    stream::iter(0..STRANGERS)
        .map(|index| {
            let secrets = secrets.clone();
            tokio::spawn(async move {
                secrets
                    .create(&PostParams::default(), &stranger(index))
                    .await
            })
        })
        .buffer_unordered(32)
        .map(|joined| joined?.map(drop).map_err(anyhow::Error::from))
        .try_collect::<()>()
        .await?;
    let beside = after_a_restart(env).await?;
    ensure!(
        secrets
            .list_metadata(&kube::api::ListParams::default())
            .await?
            .items
            .len()
            >= STRANGERS as usize,
        "not all Secrets were created"
    );
    let more = (precise(beside) - precise(alone)) / 1024.0;
    table.add(Row::new(format!("memory after a restart: without, with {STRANGERS} Secrets of 10 KB in namespace default (the clients are in {NAMESPACE})"), format!(
        "{:.1} MiB; {:.1} MiB ({more:+.1})", mib(alone), mib(beside),
    )).target("at most 1 MiB more", more <= 1.0));
    Ok(())
}

async fn after_a_restart(env: &mut TestEnv) -> Result<u64> {
    env.stop_operator().await?;
    env.run_operator()?;
    env.silence(QUIET).await?;
    Ok(env.memory()?.now)
}

fn stranger(index: u32) -> Secret {
    let filling = ByteString(vec![b'x'; STRANGERS_SIZE]);
    Secret {
        metadata: ObjectMeta {
            name: Some(format!("stranger-{index}")),
            ..ObjectMeta::default()
        },
        data: Some([("filling".to_owned(), filling)].into()),
        ..Secret::default()
    }
}
