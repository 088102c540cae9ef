//! What a measurement runs on: its own control plane, the emulator, and a release build of the operator.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use harness::{ControlPlane, binaries::Release};
use kube::{Api, Client, api::ApiResource, core::DynamicObject};
use serde_json::{Value, json};

use super::counts::{Counts, FLOOR_GROUP};
use super::process::{self, Memory};
use super::vendor::{TOKEN, Vendor};

/// The group of the operator's own kinds.
pub const GROUP: &str = "oauth.provident.ae";
/// The namespace of the measured objects.
pub const NAMESPACE: &str = "bench";
/// How long to wait for a condition before the measurement fails.
const TIMEOUT: Duration = Duration::from_mins(2);
/// The highest rate that a connection accepts, so that the rate limit is not what is measured.
const REQUESTS_PER_SECOND: u32 = 1000;

/// A control plane, a vendor, and an operator that can be started and stopped.
pub struct TestEnv {
    /// The control plane. The emulator and the operator run as its processes.
    pub plane: ControlPlane,
    /// A client with administrator rights.
    pub client: Client,
    /// The vendor.
    pub vendor: Vendor,
    operator: PathBuf,
    /// How the operator reaches the API server.
    kubeconfig: PathBuf,
    log: Option<PathBuf>,
}

impl TestEnv {
    /// Starts everything except the operator, whose binary is at `operator`.
    pub async fn start(operator: &Path, release: Release) -> Result<Self> {
        let mut plane = ControlPlane::start_release(release).await?;
        let mut emulator = Command::new(super::emulator()?);
        emulator.args(["--listen", "127.0.0.1:0", "--token", TOKEN]);
        let log = plane.spawn("emulator", emulator)?;
        let base_url = until("the emulator listens", async || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let base_url = text
                .lines()
                .find_map(|line| line.strip_prefix("base URL: "));
            Ok(base_url.map(str::to_owned))
        })
        .await?;
        let mut config = plane.client_config();
        config.default_retry = false;
        let env = Self {
            client: Client::try_from(config)?,
            vendor: Vendor::new(&base_url)?,
            operator: operator.to_owned(),
            kubeconfig: plane.kubeconfig().to_owned(),
            log: None,
            plane,
        };
        env.set_up()?;
        Ok(env)
    }

    fn set_up(&self) -> Result<()> {
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
        self.apply(&fs::read_to_string(
            crds.join("clusterprovidentconnections.oauth.provident.ae.yaml"),
        )?)?;
        self.apply(&fs::read_to_string(
            crds.join("providentconnections.oauth.provident.ae.yaml"),
        )?)?;
        let clients = fs::read_to_string(crds.join("oauthclients.oauth.provident.ae.yaml"))?;
        self.apply(&clients)?;
        // The same kind in a group that the operator does not watch: for the floor, at the same cost to the API server.
        self.apply(&clients.replace(GROUP, FLOOR_GROUP))?;
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            "--all",
        ])?;
        for namespace in ["provident-system", NAMESPACE] {
            self.apply(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }).to_string())?;
        }
        let token = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": { "token": TOKEN },
            "metadata": { "name": "provident-token", "namespace": "provident-system" },
        });
        self.apply(&token.to_string())?;
        let connection = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "ClusterProvidentConnection",
            "metadata": { "name": "default" },
            "spec": {
                "baseUrl": self.vendor.base_url,
                "auth": { "tokenSecretRef": { "name": "provident-token", "key": "token" } },
                "access": [{ "namespaces": [NAMESPACE], "scopes": ["*"] }],
                "requestsPerSecond": REQUESTS_PER_SECOND,
            },
        });
        self.apply(&connection.to_string())
    }

    /// Sets the kubeconfig of operators that are started later.
    pub fn reach_by(&mut self, kubeconfig: &str) -> Result<()> {
        let home = self
            .plane
            .home()
            .context("only a control plane that was started here has a home directory")?;
        self.kubeconfig = home.join("operator.kubeconfig");
        Ok(fs::write(&self.kubeconfig, kubeconfig)?)
    }

    /// Starts the operator without waiting until it is ready.
    pub fn start_operator(&mut self) -> Result<()> {
        let mut run = Command::new(&self.operator);
        run.args([
            "run",
            "--metrics-bind-address",
            "127.0.0.1:0",
            "--allowed-internal-host",
            self.vendor.host(),
        ]);
        run.env("KUBECONFIG", &self.kubeconfig);
        self.log = Some(self.plane.spawn("operator", run)?);
        Ok(())
    }

    /// Starts the operator and waits until its connection is ready.
    pub fn run_operator(&mut self) -> Result<()> {
        self.start_operator()?;
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "--timeout=60s",
            "clusterprovidentconnection/default",
        ])
    }

    /// Stops the operator with SIGTERM, as Kubernetes does.
    pub async fn stop_operator(&mut self) -> Result<()> {
        self.plane.end("operator").await
    }

    /// The number of reconciles that the running operator has completed, from its own metrics.
    pub async fn reconciles(&self) -> Result<u64> {
        let log = fs::read_to_string(self.log.as_ref().context("no operator is running")?)?;
        let address = log
            .lines()
            .find_map(|line| line.split_once("\"address\":\"")?.1.split('"').next())
            .context("the operator has not started yet")?;
        let text = reqwest::get(format!("http://{address}/metrics"))
            .await?
            .text()
            .await?;
        let reconciles = text
            .lines()
            .filter(|line| {
                line.starts_with("provident_operator_reconcile_total{kind=\"OAuthClient\"")
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(reconciles.sum())
    }

    /// Waits until, for `window`, the API server receives no request for the operator's kinds and the vendor no call.
    pub async fn silence(&self, window: Duration) -> Result<()> {
        until("no requests and calls", async || {
            let before = (
                Counts::read(&self.client).await?,
                self.vendor.calls().await?,
            );
            tokio::time::sleep(window).await;
            let after = (
                Counts::read(&self.client).await?,
                self.vendor.calls().await?,
            );
            let requests = after.0.since(&before.0).all() + after.1.since(&before.1);
            Ok((requests == 0).then_some(()))
        })
        .await
    }

    /// The CPU time that a program has used so far.
    pub fn cpu(&self, program: &str) -> Result<Duration> {
        process::cpu(self.pid(program)?)
    }

    /// The resident memory of the operator.
    pub fn memory(&self) -> Result<Memory> {
        process::memory(self.pid("operator")?)
    }

    fn pid(&self, program: &str) -> Result<u32> {
        self.plane
            .pid(program)
            .with_context(|| format!("{program} is not running"))
    }

    /// Objects of the operator's kind, or of the floor's.
    pub fn objects(&self, group: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &kind(group))
    }

    /// The version of the API server.
    pub async fn version(&self) -> Result<String> {
        Ok(self.client.apiserver_version().await?.git_version)
    }

    fn kubectl(&self, args: &[&str]) -> Result<()> {
        let output = self.plane.kubectl(args)?.output()?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "kubectl {}: {}",
            args.join(" "),
            error.trim()
        );
        Ok(())
    }

    fn apply(&self, object: &str) -> Result<()> {
        let mut kubectl = self.plane.kubectl(["apply", "--server-side", "-f", "-"])?;
        let mut child = kubectl
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let mut stdin = child.stdin.take().context("kubectl has no stdin")?;
        stdin.write_all(object.as_bytes())?;
        drop(stdin);
        ensure!(child.wait()?.success(), "kubectl apply failed");
        Ok(())
    }
}

/// `OAuthClient` of a group.
pub fn kind(group: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: format!("{group}/v1alpha1"),
        kind: "OAuthClient".to_owned(),
        plural: "oauthclients".to_owned(),
    }
}

/// Repeats the probe until it returns something.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if start.elapsed() > TIMEOUT {
            bail!("timed out after {TIMEOUT:?} waiting for: {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A field of an object as text; empty if the object does not have it.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
