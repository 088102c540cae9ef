//! The CPU time and memory of an idle operator, as the kubelet measures them.

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
/// How long to wait for earlier work to finish, and then to measure.
const IDLE: Duration = Duration::from_secs(20);

/// One reading of a pod.
struct Reading {
    nanoseconds: i128,
    cpu_nanoseconds: f64,
    /// The memory that counts against a limit, in bytes, and the process's own part of it.
    working_set: f64,
    resident: f64,
}

impl Test {
    pub(super) async fn metrics(&mut self) -> Result<()> {
        let few = self.idle().await?;
        self.clock.done(&format!("idle with a few clients: {few}"));
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
        // `kubectl wait` handles one object after another, five in a second.
        let statuses = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        until("all clients are ready", || {
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
        tokio::time::sleep(IDLE).await;
        let pod = self.leader()?;
        let first = self.reading(&pod, 0)?;
        let idle = i128::try_from(IDLE.as_nanos())?;
        let last = self.reading(&pod, first.nanoseconds + idle)?;
        #[allow(clippy::cast_precision_loss)] // the values are for display
        let (cpu, time) = (
            last.cpu_nanoseconds - first.cpu_nanoseconds,
            (last.nanoseconds - first.nanoseconds) as f64,
        );
        let millicores = cpu / time * 1000.0;
        let [working_set, resident] =
            [last.working_set, last.resident].map(|bytes| bytes / 1_048_576.0);
        Ok(format!(
            "resident {resident:.1} MiB, working set {working_set:.1} MiB, CPU {millicores:.1}m"
        ))
    }

    /// The first reading at or after a time. The kubelet takes one about every ten seconds.
    fn reading(&self, pod: &str, at_least: i128) -> Result<Reading> {
        until("the kubelet has measured the pod", || {
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
