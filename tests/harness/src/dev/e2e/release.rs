//! The operator's own life: image, install, upgrade, rollback, loss of the leader, uninstall.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use harness::node::Store;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    SHOP, SYSTEM, Test,
    tools::{WAIT, until},
};

const IMAGE: &str = "localhost/provident-operator";
const RELEASE: &str = "provident-operator";
const CHART: &str = "charts/provident-operator";
const PODS: &str = "app.kubernetes.io/component=operator";
/// The largest image size in bytes that the documentation promises.
const IMAGE_LIMIT: u64 = 15 * 1024 * 1024;
/// The documented time of a takeover, 18 s, with a margin for a loaded machine.
const SERVED_AGAIN: Duration = Duration::from_secs(23);

impl Test {
    /// Builds the release images of operator and emulator and imports them into the node.
    pub(super) fn image(&mut self) -> Result<()> {
        let archive = self.home()?.join("operator.tar");
        let mut build = Store::new(self.home()?)?.command("hack/image");
        build.arg(format!("{IMAGE}:e2e")).arg(&archive);
        println!("                 building the images, which takes minutes the first time");
        // Its output goes to the terminal: a release build is long enough that people want to see progress.
        let status = build.current_dir(&self.root).stdin(Stdio::null()).status();
        let status = status.context("start hack/image")?;
        ensure!(status.success(), "hack/image failed ({status}), see above");
        let size = fs::metadata(&archive)?.len();
        ensure!(
            size <= IMAGE_LIMIT,
            "the image has {size} bytes, more than the promised {IMAGE_LIMIT}"
        );
        self.node.import(&archive)?;
        // hack/image writes the emulator's image beside it.
        self.node
            .import(&archive.with_file_name("operator-emulator.tar"))?;
        #[allow(clippy::cast_precision_loss)] // the value is for display
        let mebibytes = size as f64 / 1_048_576.0;
        self.clock.done(&format!(
            "the images are built (operator: {mebibytes:.1} MiB) and imported into the node"
        ));
        Ok(())
    }

    /// Installs the chart with the values of a trial, in namespaces that enforce the restricted profile.
    pub(super) fn install(&mut self) -> Result<()> {
        for namespace in [SYSTEM, SHOP] {
            self.apply(&format!(
                "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels: {{ pod-security.kubernetes.io/enforce: restricted }}\n"
            ))?;
        }
        let notes = self.helm(&format!(
            "install {RELEASE} {CHART} -n {SYSTEM} --set image.repository={IMAGE},image.tag=e2e \
             --set emulator.enabled=true,rolloutRestart.enabled=true --wait --timeout {}s",
            WAIT.as_secs()
        ))?;
        fs::write(self.home()?.join("notes.txt"), notes)?;
        let ready = self.start_to_ready()?;
        self.clock.done(&format!(
            "the chart is installed; its pods were ready {ready} s after their start"
        ));
        Ok(())
    }

    /// Applies the second step of the chart's notes literally, then the tutorial's access rule for the shop.
    pub(super) fn connect(&mut self) -> Result<()> {
        let notes = fs::read_to_string(self.home()?.join("notes.txt"))?;
        let (_, after) = notes
            .split_once("<<'EOF'\n")
            .context("the notes have no second step")?;
        let (connection, _) = after
            .split_once("\nEOF")
            .context("the notes' second step has no end")?;
        self.apply(connection)?;
        let rule = format!(
            r#"{{"spec":{{"access":[{{"namespaces":["{SHOP}"],"scopes":["listings:read"]}}]}}}}"#
        );
        self.kubectl_with("patch cpcn default --type merge -p", &[&rule])?;
        self.kubectl("wait --for=condition=Ready cpcn/default --timeout=60s")?;
        self.clock
            .done("the connection from the chart's notes is ready");
        Ok(())
    }

    pub(super) fn upgrade_and_roll_back(&mut self) -> Result<()> {
        let settled = self.settled()?;
        self.helm(&format!(
            "upgrade {RELEASE} {CHART} -n {SYSTEM} --reset-then-reuse-values --set concurrency=32 --wait --timeout {}s",
            WAIT.as_secs()
        ))?;
        self.pods_have("32")?;
        self.serve("after-upgrade")?;
        self.clock
            .done("upgraded with another value; a new client becomes ready");
        self.helm(&format!(
            "rollback {RELEASE} 1 -n {SYSTEM} --wait --timeout {}s",
            WAIT.as_secs()
        ))?;
        self.pods_have("64")?;
        self.serve("after-rollback")?;
        ensure!(
            self.settled()? == settled,
            "a settled client was changed: {settled}, then {}",
            self.settled()?
        );
        self.clock.done("rolled back; a new client becomes ready, and the settled client and its Secret are unchanged");
        Ok(())
    }

    /// Kills the leader with SIGKILL and deletes its pod, so that it releases nothing.
    pub(super) fn kill_leader(&mut self) -> Result<()> {
        let leader = self.leader()?;
        let container = "jsonpath={.status.containerStatuses[0].containerID}";
        let id = self.kubectl_with(&format!("get pod {leader} -n {SYSTEM} -o"), &[container])?;
        let id = id.rsplit('/').next().context("a container has an id")?;
        let killed = Instant::now();
        self.node.kill(id)?;
        self.kubectl(&format!(
            "delete pod {leader} -n {SYSTEM} --force --grace-period=0 --wait=false"
        ))?;
        self.serve("after-kill")?;
        let took = killed.elapsed();
        ensure!(
            took < SERVED_AGAIN,
            "a new client became ready only {took:?} after the leader was killed"
        );
        let took = took.as_secs_f32();
        self.clock.done(&format!(
            "the leader was killed; a new client becomes ready {took:.1} s later"
        ));
        self.kubectl(&format!(
            "rollout status deployment/{RELEASE} -n {SYSTEM} --timeout={}s",
            WAIT.as_secs()
        ))?;
        Ok(())
    }

    /// Uninstalls the release but keeps its emulator, because a real vendor runs elsewhere.
    pub(super) async fn uninstall(&mut self) -> Result<()> {
        let vendor = self.keep_vendor()?;
        let before = self.settled()?;
        self.helm(&format!(
            "uninstall {RELEASE} -n {SYSTEM} --wait --timeout {}s",
            WAIT.as_secs()
        ))?;
        until("the operator's pods are gone", || {
            let pods = self.kubectl(&format!("get pods -n {SYSTEM} -l {PODS} -o name"))?;
            Ok(pods.is_empty().then_some(()))
        })?;
        ensure!(
            self.settled()? == before,
            "the client or its Secret was changed"
        );
        self.kubectl("get crd oauthclients.oauth.provident.ae clusterprovidentconnections.oauth.provident.ae providentconnections.oauth.provident.ae")?;
        self.kubectl("get cpcn default")?;
        self.kubectl(&format!("get secret {RELEASE}-binding-key -n {SYSTEM}"))?;
        self.application_runs()?;
        self.is_active(&vendor).await?;
        self.clock.done("uninstalled; CRDs, connection, clients, Secrets and the binding key remain, and the application keeps running");
        Ok(())
    }

    /// The time from the start of the container to the readiness of the pod, in whole seconds, of the slowest replica.
    fn start_to_ready(&self) -> Result<i64> {
        let times = "jsonpath={range .items[*]}{.status.containerStatuses[0].state.running.startedAt} \
                     {.status.conditions[?(@.type==\"Ready\")].lastTransitionTime}\n{end}";
        let times = self.kubectl_with(&format!("get pods -n {SYSTEM} -l {PODS} -o"), &[times])?;
        let seconds = times.lines().map(|line| {
            let (started, ready) = line.split_once(' ').context("two times")?;
            Ok(seconds(ready)? - seconds(started)?)
        });
        seconds
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .max()
            .context("no pods")
    }

    /// Waits until no pod has another value, because old pods take a while to terminate.
    fn pods_have(&self, concurrency: &str) -> Result<()> {
        let values = "jsonpath={.items[*].spec.containers[0].env[?(@.name==\"PROVIDENT_MAX_CONCURRENT_RECONCILES\")].value}";
        until("every pod of the operator has the value", || {
            let values =
                self.kubectl_with(&format!("get pods -n {SYSTEM} -l {PODS} -o"), &[values])?;
            Ok(values
                .split(' ')
                .all(|value| value == concurrency)
                .then_some(()))
        })
    }

    /// The leader's pod: the identity of the lease's holder begins with its name.
    pub(super) fn leader(&self) -> Result<String> {
        let holder = self.kubectl(&format!(
            "get lease {RELEASE} -n {SYSTEM} -o jsonpath={{.spec.holderIdentity}}"
        ))?;
        let (pod, _) = holder.split_once('_').context("the lease has no holder")?;
        Ok(pod.to_owned())
    }
}

fn seconds(time: &str) -> Result<i64> {
    let time: Time = serde_json::from_value(time.into())?;
    Ok(time.0.as_second())
}
