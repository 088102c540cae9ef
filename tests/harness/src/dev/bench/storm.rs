//! Scenario 46: many clients at once, with a slow vendor that rejects a tenth of all calls.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::burst::burst;
use super::table::{Row, Table, mib};
use super::test_env::TestEnv;

/// The operator's limit of calls in flight per connection.
const IN_FLIGHT: u64 = 32;
/// The memory limit in KiB: twice the target for 10,000 settled clients, because every client is in progress.
const MEMORY: u64 = 80 * 1024;

/// Declares `count` clients while the vendor needs 50 ms per call and answers each tenth call with 429.
pub async fn storm(table: &mut Table, env: &TestEnv, count: usize) -> Result<()> {
    env.vendor.set_latency(50).await?;
    for operation in ["create", "get", "update"] {
        let answer =
            json!({ "when": "beforeCommit", "status": 429, "headers": [["Retry-After", "1"]] });
        let rule = json!({ "operation": operation, "every": 10, "fault": { "answer": answer } });
        env.vendor.add_fault(&rule).await?;
    }
    let before = env.vendor.calls().await?;
    let burst = burst(env, "storm", count).await?;
    let after = env.vendor.calls().await?;
    let seconds = burst.speed.took.as_secs_f64();
    let clients = u64::try_from(count)?;
    let ready = burst.speed.latencies.len();
    table.add(
        Row::new(
            format!("{count} clients, vendor 50 ms, a tenth 429 (Retry-After: 1): Ready"),
            format!("{ready} after {seconds:.0} s"),
        )
        .promise("all", ready == count),
    );
    table.add(
        Row::new("clients created at the vendor", burst.created.to_string())
            .promise("one each, no duplicate", burst.created == clients),
    );
    table.add(Row::new(
        "creates sent (every tenth was rejected)",
        (after.of("create") - before.of("create")).to_string(),
    ));
    table.add(
        Row::new(
            "most calls in flight at the vendor",
            after.most_in_flight.to_string(),
        )
        .promise(
            format!("at most {IN_FLIGHT}"),
            after.most_in_flight <= IN_FLIGHT,
        ),
    );
    let memory = env.memory()?;
    table.add(
        Row::new(
            "resident memory, peak",
            format!("{:.1} MiB", mib(memory.peak)),
        )
        .promise(
            format!("at most {} MiB", MEMORY / 1024),
            memory.peak <= MEMORY,
        ),
    );
    env.vendor.clear().await?;
    env.silence(Duration::from_secs(3)).await
}
