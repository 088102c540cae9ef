//! `cargo dev soak`: creates, changes and deletes clients for a long time while one request in a hundred fails.
//!
//! Requests fail on both sides: at the API server through a proxy with the harness's faults, at the vendor through the
//! emulator's. At the end the faults stop, and everything must recover without intervention.

mod churn;
mod oracles;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use harness::faults::{Effect, Fault, Faults, Proxy};
use serde_json::json;

use crate::bench::{
    self,
    counts::{Counts, precise},
    table::mib,
    test_env::{GROUP, TestEnv},
    witness::Witness,
};
use crate::signals;
use churn::Churn;

/// The time between two lines of the report.
const LINE: Duration = Duration::from_mins(1);
/// Each kind of fault affects one call of an operation in this many; with four kinds, one in a hundred fails.
const EVERY: u32 = 400;

/// Duration and load.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    kubernetes: crate::Kubernetes,
    /// Duration of faults and changes in minutes
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=2880))]
    minutes: u64,
    /// Number of clients that exist at a time
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    clients: u32,
    /// Changes per second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    changes: u32,
}

/// Runs the soak test. Ctrl-C ends it, and everything that it started, at any time.
pub async fn soak(options: &Options) -> Result<()> {
    if cfg!(debug_assertions) {
        return bench::as_shipped();
    }
    let signal = signals::received()?;
    tokio::select! {
        result = run(options) => result,
        name = signal => bail!("{name}"),
    }
}

async fn run(options: &Options) -> Result<()> {
    let mut env = TestEnv::start(&bench::shipped()?, options.kubernetes.release()?).await?;
    let faults = Faults::new();
    let proxy = Proxy::start(env.plane.client_config(), &faults).await?;
    env.reach_by(&proxy.kubeconfig())?;
    env.run_operator()?;
    let witness = Witness::of(&env, GROUP);
    let mut churn = Churn::new(&env, usize::try_from(options.clients)?);
    churn.fill().await?;
    witness.all_ready(&churn.names()).await?;
    println!(
        "{} clients are Ready; from now on one request in a hundred fails, at the API server and at the vendor",
        options.clients
    );
    begin(&env, &faults).await?;

    let start = Instant::now();
    let end = start + LINE * u32::try_from(options.minutes)?;
    let mut memory = Vec::new();
    let mut line = Line::begin(&env).await?;
    let mut tick = tokio::time::interval(Duration::from_secs(1) / options.changes);
    while Instant::now() < end {
        tick.tick().await;
        churn.step(&witness).await?;
        if line.since.elapsed() >= LINE {
            memory.push(line.print(&env, &witness, start).await?);
            line = Line::begin(&env).await?;
            // The record of requests is for tests; here it would only grow.
            faults.forget();
        }
    }
    memory.push(line.print(&env, &witness, start).await?);
    faults.clear();
    env.vendor.clear().await?;
    println!(
        "Faults and changes have stopped. Everything must recover, which can take five minutes because of backoff"
    );
    churn.until_settled(&witness).await?;
    // No requests and calls: every queue is empty.
    env.silence(Duration::from_secs(15)).await?;
    let held = churn.held();
    println!(
        "Settled. {} changes were made; the outcome of {} creates was unknown, and they were held",
        churn.made(),
        held
    );
    let found = oracles::check(&env, &witness, &churn).await?;
    for line in &found {
        println!("BROKEN: {line}");
    }
    println!("{}", slope(&memory));
    ensure!(found.is_empty(), "{} promises were broken", found.len());
    println!("No duplicate and no lost client; every Ready client and its Secret match the vendor");
    Ok(())
}

async fn begin(env: &TestEnv, faults: &Faults) -> Result<()> {
    let kinds = [
        Fault::before(Effect::Fail),
        Fault::after(Effect::Fail),
        Fault::before(Effect::Answer(500)),
        Fault::before(Effect::Answer(429)),
    ];
    faults.add_rule(move |request| {
        let (hundreds, place) = (request.sequence / 100, request.sequence % 100);
        let kind = usize::try_from(hundreds).unwrap_or_default() % kinds.len();
        (place == 99).then(|| kinds[kind].clone())
    });
    for operation in ["create", "get", "update", "rotate"] {
        for fault in [
            json!({ "drop": "beforeCommit" }),
            json!({ "drop": "afterCommit" }),
            json!({ "answer": { "when": "beforeCommit", "status": 503 } }),
            json!({ "answer": { "when": "beforeCommit", "status": 429, "headers": [["Retry-After", "1"]] } }),
        ] {
            env.vendor
                .add_fault(&json!({ "operation": operation, "every": EVERY, "fault": fault }))
                .await?;
        }
    }
    Ok(())
}

/// One line of the report, for one minute.
struct Line {
    since: Instant,
    requests: Counts,
    calls: bench::vendor::Calls,
    cpu: Duration,
}

impl Line {
    async fn begin(env: &TestEnv) -> Result<Self> {
        Ok(Self {
            since: Instant::now(),
            requests: Counts::read(&env.client).await?,
            calls: env.vendor.calls().await?,
            cpu: env.cpu("operator")?,
        })
    }

    /// Prints the line. Returns the time in minutes and the memory.
    async fn print(&self, env: &TestEnv, witness: &Witness, start: Instant) -> Result<(f64, u64)> {
        let minutes = start.elapsed().as_secs_f64() / 60.0;
        let memory = env.memory()?;
        let objects = witness.objects();
        let ready = objects
            .values()
            .filter(|object| object.ready.is_some())
            .count();
        let requests = Counts::read(&env.client).await?.since(&self.requests);
        let cpu = env.cpu("operator")?.saturating_sub(self.cpu).as_secs_f64()
            / self.since.elapsed().as_secs_f64();
        println!(
            "[{minutes:6.1} min] {} objects, {ready} Ready; {} requests, {} vendor calls; {:.1} mCPU; resident {:.1} MiB, peak {:.1}",
            objects.len(),
            requests.all(),
            env.vendor.calls().await?.since(&self.calls),
            cpu * 1000.0,
            mib(memory.now),
            mib(memory.peak),
        );
        Ok((minutes, memory.now))
    }
}

/// The growth of the memory, by least squares, without the first quarter of the time, in which the operator warms up.
fn slope(memory: &[(f64, u64)]) -> String {
    let late = &memory[memory.len() / 4..];
    if late.len() < 3 {
        return "The run was too short for the slope of the memory".to_owned();
    }
    let count = precise(late.len() as u64);
    let mean = |of: &dyn Fn(&(f64, u64)) -> f64| late.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0), mean(&|point| mib(point.1)));
    let over = late
        .iter()
        .map(|point| (point.0 - x) * (mib(point.1) - y))
        .sum::<f64>();
    let under = late.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    format!(
        "Resident memory: {y:.1} MiB on average, slope {:+.2} MiB an hour",
        over / under * 60.0
    )
}
