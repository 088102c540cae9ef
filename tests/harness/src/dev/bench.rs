//! `cargo dev bench`: compares the operator with the minimum that its work costs, and measures it when it has nothing to do.

mod burst;
mod changes;
pub mod counts;
mod floor;
pub mod load;
mod process;
mod report;
mod settled;
mod storm;
pub mod table;
pub mod test_env;
mod usage;
pub mod vendor;
pub mod witness;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::signals;
use burst::WORKERS;
use table::Table;
use test_env::TestEnv;

/// What to measure, and where to write the report.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    kubernetes: crate::Kubernetes,
    /// Number of clients
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    clients: u32,
    /// Run only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where to write the report
    #[arg(long, default_value = "target/performance.md", value_name = "PATH")]
    report: PathBuf,
    /// Measure this binary instead of building one, to compare with an earlier version
    #[arg(long, value_name = "PATH")]
    operator: Option<PathBuf>,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Many clients at once, and the cost of each
    Burst,
    /// One client after another
    Idle,
    /// An idle minute, restarts, memory
    Settled,
    /// Edits and rotations of all clients, and one client that always fails
    Changes,
    /// 20,000 Secrets that the operator does not own
    Strangers,
    /// A vendor with a latency of 20 and of 200 ms
    Slow,
    /// Scenario 46: a slow vendor that rejects a tenth of all calls
    Storm,
}

/// Runs the benchmark. Ctrl-C ends it, and everything that it started, at any time.
pub async fn bench(options: &Options) -> Result<()> {
    if cfg!(debug_assertions) {
        return as_shipped();
    }
    let signal = signals::received()?;
    tokio::select! {
        result = run(options) => result,
        name = signal => bail!("{name}"),
    }
}

/// This program measures the floor, so it must be optimised as the operator is: builds both for release and runs the result.
pub fn as_shipped() -> Result<()> {
    println!(
        "Building the operator, the emulator and this program for release; the first time this takes minutes"
    );
    let mut command = cargo();
    // One selection of packages for both, so that nothing is compiled twice.
    command.args([
        "build",
        "--quiet",
        "--release",
        "--bin",
        "provident-operator",
        "--bin",
        "provident-emulator",
        "--bin",
        "dev",
    ]);
    ensure!(command.status()?.success(), "the release build failed");
    let program = root().join("target/release/dev");
    let status = Command::new(program)
        .args(std::env::args_os().skip(1))
        .status()?;
    ensure!(
        status.success(),
        "the release build of this program ended with {status}"
    );
    Ok(())
}

/// The operator that was built together with this program.
pub fn shipped() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("provident-operator"))
}

/// The emulator that was built together with this program.
pub fn emulator() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("provident-emulator"))
}

async fn run(options: &Options) -> Result<()> {
    let operator = match &options.operator {
        Some(path) => fs::canonicalize(path).with_context(|| format!("find {}", path.display()))?,
        None => shipped()?,
    };
    let release = options.kubernetes.release()?;
    let began = Instant::now();
    let (load, mut table) = (process::load(), Table::default());
    let clients = usize::try_from(options.clients)?;
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);

    let mut version = String::new();
    let main = [
        Part::Burst,
        Part::Idle,
        Part::Settled,
        Part::Changes,
        Part::Strangers,
    ];
    if main.into_iter().any(wanted) {
        say(began, "A vendor without latency");
        let mut env = TestEnv::start(&operator, release).await?;
        version = env.version().await?;
        at_once(&mut table, &mut env, clients, wanted, began).await?;
    }
    for latency in [20, 200] {
        if wanted(Part::Slow) {
            say(began, &format!("A vendor with a latency of {latency} ms"));
            let mut env = TestEnv::start(&operator, release).await?;
            version = env.version().await?;
            env.vendor.set_latency(latency).await?;
            slow(&mut table, &mut env, clients, latency).await?;
        }
    }
    if wanted(Part::Storm) {
        say(began, "A slow vendor that rejects a tenth of all calls");
        let mut env = TestEnv::start(&operator, release).await?;
        version = env.version().await?;
        env.run_operator()?;
        table.part("Scenario 46");
        storm::storm(&mut table, &env, clients).await?;
    }
    let text = report::report(options, &operator, &version, &load, began.elapsed(), &table)?;
    if let Some(parent) = options.report.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&options.report, &text)?;
    println!("\n{text}\nWritten to {}", options.report.display());
    let broken = table.broken();
    ensure!(broken.is_empty(), "broken promises: {}", broken.join("; "));
    Ok(())
}

async fn at_once(
    table: &mut Table,
    env: &mut TestEnv,
    clients: usize,
    wanted: impl Fn(Part) -> bool,
    began: Instant,
) -> Result<()> {
    let few = (clients / 10).max(10);
    // Bursts alternate with the floor. They are long, because at the start and at the end of each not all workers are busy.
    let turns = (clients / 1000).clamp(1, 5);
    let part = (clients - few) / turns;
    table.part(&format!(
        "Bursts of {few} and {turns} times {part}, vendor 0 ms"
    ));
    // The very first requests are slow, until the API server's caches, the connections and the CPU clocks are warm.
    floor::burst(env, "warm", few, WORKERS).await?;
    let mut floors = vec![floor::burst(env, "floor-0", part, WORKERS).await?];
    env.run_operator()?;
    // The connection's first probe and status write are not part of a client's cost.
    env.silence(Duration::from_secs(3)).await?;
    let first = burst::burst(env, "few", few).await?;
    let mut many = burst::Burst::default();
    for turn in 1..=turns {
        say(began, &format!("Burst {turn} of {turns}"));
        many.add(burst::burst(env, &format!("many-{turn}"), part).await?);
        floors.push(floor::burst(env, &format!("floor-{turn}"), part, WORKERS).await?);
    }
    let clients = few + turns * part;
    burst::against(table, "0 ms", &many.speed, &floors);
    burst::price(table, &many);
    burst::growth(table, &first, &many);
    if wanted(Part::Settled) {
        say(began, "Idle");
        table.part(&format!("{clients} settled"));
        settled::memory(table, env, clients)?;
        settled::idle(table, env).await?;
        settled::restart(table, env, clients).await?;
    }
    if wanted(Part::Idle) {
        say(began, "One after another");
        table.part("One client after another, vendor 0 ms");
        one_by_one(table, env, 0, few.clamp(50, 200)).await?;
    }
    if wanted(Part::Changes) {
        say(began, "Changes");
        let names: Vec<String> = (1..=turns)
            .flat_map(|turn| load::names(&format!("many-{turn}"), part))
            .collect();
        table.part(&format!("Changes to {} clients", names.len()));
        changes::edit(table, env, &names).await?;
        changes::rotate(table, env, &names).await?;
        changes::poison(table, env, "few-0", few.clamp(50, 200)).await?;
    }
    if wanted(Part::Strangers) {
        say(began, "Secrets that the operator does not own");
        table.part("Memory");
        settled::strangers(table, env).await?;
    }
    Ok(())
}

async fn slow(table: &mut Table, env: &mut TestEnv, clients: usize, latency: u64) -> Result<()> {
    table.part(&format!("Vendor {latency} ms"));
    let what = format!("{latency} ms");
    floor::burst(env, "warm", 50, WORKERS).await?;
    let before = floor::burst(env, "floor-before", clients, WORKERS).await?;
    env.run_operator()?;
    let burst = burst::burst(env, "many", clients).await?;
    let after = floor::burst(env, "floor-after", clients, WORKERS).await?;
    burst::against(table, &what, &burst.speed, &[before, after]);
    one_by_one(table, env, latency, 50).await
}

async fn one_by_one(table: &mut Table, env: &TestEnv, latency: u64, count: usize) -> Result<()> {
    // Alternating, so that both see the same load of the machine.
    let (mut ours, mut theirs) = (floor::Speed::default(), floor::Speed::default());
    for turn in 0..5 {
        let floor = floor::one_by_one(env, &format!("floor-alone-{turn}"), count / 5).await?;
        let speed = burst::one_by_one(env, &format!("alone-{turn}"), count / 5).await?;
        theirs.add(floor);
        ours.add(speed);
    }
    burst::idle(table, &format!("{latency} ms"), &ours, &theirs);
    Ok(())
}

fn say(began: Instant, what: &str) {
    println!("\n[{:5.1} s] {what}", began.elapsed().as_secs_f32());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
