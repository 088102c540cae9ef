//! What an idle operator takes, as the kubelet counts it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::{
    SHOP, Test,
    tools::{client, until},
};

const CLIENTS: usize = 1000;
const NAMESPACE: &str = "many";
/// What was begun before it is over then, and a mean over it is a fair one.
const CALM: Duration = Duration::from_secs(20);

/// One reading of a pod.
struct Reading {
    nanoseconds: i128,
    cpu_nanoseconds: f64,
    /// What counts against a limit, in bytes, and what of it is the process's own.
    working_set: f64,
    resident: f64,
}

impl Test {
    pub(super) async fn metrics(&mut self) -> Result<()> {
        let few = self.idle().await?;
        self.clock
            .done(&format!("idle with a handful of clients: {few}"));
        self.many()?;
        let many = self.idle().await?;
        self.clock
            .done(&format!("idle with {CLIENTS} more: {many}"));
        Ok(())
    }

    fn many(&mut self) -> Result<()> {
        self.kubectl(&format!("create namespace {NAMESPACE}"))?;
        let patch = format!(
            r#"{{"spec":{{"requestsPerSecond":1000,"access":[{{"namespaces":["{SHOP}","{NAMESPACE}"],"scopes":["listings:read"]}}]}}}}"#
        );
        self.kubectl_with("patch cpcn default --type merge -p", &[&patch])?;
        let declared = Instant::now();
        let clients = (0..CLIENTS).map(|n| client(&format!("client-{n}"), NAMESPACE));
        self.apply(&clients.collect::<String>())?;
        // `kubectl wait` asks for one after the other, five in a second.
        let statuses = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        until("all of them are ready", || {
            let statuses = self.kubectl_with(&format!("get oac -n {NAMESPACE} -o"), &[statuses])?;
            let ready = statuses.split(' ').filter(|status| *status == "True");
            Ok((ready.count() == CLIENTS).then_some(()))
        })?;
        let took = declared.elapsed().as_secs_f32();
        self.clock.done(&format!(
            "{CLIENTS} clients are ready {took:.1} s after the start of their apply"
        ));
        Ok(())
    }

    async fn idle(&self) -> Result<String> {
        tokio::time::sleep(CALM).await;
        let pod = self.leader()?;
        let first = self.reading(&pod, 0)?;
        let calm = i128::try_from(CALM.as_nanos())?;
        let last = self.reading(&pod, first.nanoseconds + calm)?;
        #[allow(clippy::cast_precision_loss)] // they are figures to read
        let (cpu, time) = (
            last.cpu_nanoseconds - first.cpu_nanoseconds,
            (last.nanoseconds - first.nanoseconds) as f64,
        );
        let millicores = cpu / time * 1000.0;
        let [working_set, resident] =
            [last.working_set, last.resident].map(|bytes| bytes / 1_048_576.0);
        Ok(format!(
            "{resident:.1} MiB of its own, {working_set:.1} MiB with files, {millicores:.1} thousandths of a core"
        ))
    }

    /// The first reading at or after a moment; the kubelet takes one about every ten seconds.
    fn reading(&self, pod: &str, at_least: i128) -> Result<Reading> {
        until("the kubelet has counted", || {
            let summary = self.kubectl("get --raw /api/v1/nodes/dev/proxy/stats/summary")?;
            let summary: Value = serde_json::from_str(&summary)?;
            let pods = summary["pods"].as_array().context("a summary has pods")?;
            let Some(pod) = pods.iter().find(|p| p["podRef"]["name"] == pod) else {
                return Ok(None);
            };
            let (Some(cpu), Some(working_set), Some(resident)) = (
                pod["cpu"]["usageCoreNanoSeconds"].as_f64(),
                pod["memory"]["workingSetBytes"].as_f64(),
                pod["memory"]["rssBytes"].as_f64(),
            ) else {
                return Ok(None);
            };
            let time: Time = serde_json::from_value(pod["cpu"]["time"].clone())?;
            let reading = Reading {
                nanoseconds: time.0.as_nanosecond(),
                cpu_nanoseconds: cpu,
                working_set,
                resident,
            };
            Ok((reading.nanoseconds >= at_least).then_some(reading))
        })
    }
}
