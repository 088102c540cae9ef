//! A control plane without nodes: etcd, kube-apiserver and kube-controller-manager on free loopback ports.

mod components;
mod pki;
mod processes;
mod restore;

use std::{
    env,
    ffi::OsStr,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::OnceCell;

use crate::binaries::{self, CONTROL_PLANE, KUBECTL, Paths, Release};
use components::Components;
pub(crate) use processes::Processes;
pub use restore::Backup;

/// The kubeconfig of a cluster that [`ControlPlane::shared`] uses instead of starting one.
pub const KUBECONFIG_VARIABLE: &str = "PROVIDENT_TEST_KUBECONFIG";

/// Long enough for a loaded machine, short enough that a start that hangs is reported.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// A control plane to test against: one that this process starts, or an existing cluster.
///
/// A started one is usable after about five seconds, needs about 400 MiB, and stops when it is dropped or when this process
/// exits or is killed.
#[derive(Debug)]
pub struct ControlPlane {
    kubeconfig: PathBuf,
    config: Config,
    binaries: Paths,
    /// None for an existing cluster.
    processes: Option<Processes>,
    /// Needed to restart the processes.
    components: Option<Components>,
}

impl ControlPlane {
    /// Starts a control plane of the release that [`Release::selected`] returns.
    ///
    /// # Errors
    /// As [`ControlPlane::start_release`].
    pub async fn start() -> Result<Self> {
        Self::start_release(Release::selected()?).await
    }

    /// Starts a control plane and waits until it is ready and its `default` service account exists.
    ///
    /// # Errors
    /// When a program can neither be found nor built; when one exits, with the end of its log; and when the control plane is
    /// not ready after two minutes.
    pub async fn start_release(release: Release) -> Result<Self> {
        Self::start_at(Processes::new()?, Ipv4Addr::LOCALHOST, release).await
    }

    /// The same, together with processes that already run, and with an API server that listens on this address.
    pub(crate) async fn start_at(
        mut processes: Processes,
        address: Ipv4Addr,
        release: Release,
    ) -> Result<Self> {
        let build = move || binaries::ensure(&CONTROL_PLANE, release);
        let binaries = tokio::task::spawn_blocking(build).await??;
        let components = Components::prepare(processes.home(), &binaries, address)?;
        let config = read_config(&components.kubeconfig).await?;
        boot(&mut processes, &components, &config).await?;
        let kubeconfig = components.kubeconfig.clone();
        Ok(Self {
            kubeconfig,
            config,
            binaries,
            processes: Some(processes),
            components: Some(components),
        })
    }

    /// Uses the cluster of a kubeconfig's current context. Stopping does not affect it.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable cluster, or kubectl can neither be found nor built.
    pub async fn existing(kubeconfig: &Path) -> Result<Self> {
        let config = read_config(kubeconfig).await?;
        let build = || binaries::ensure(&[KUBECTL], Release::default());
        let binaries = tokio::task::spawn_blocking(build).await??;
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            config,
            binaries,
            processes: None,
            components: None,
        })
    }

    /// The one control plane of a test binary: the cluster of [`KUBECONFIG_VARIABLE`] if set, otherwise one that is started on
    /// first use.
    ///
    /// It outlives the runtime on which it was started and stops with the process.
    ///
    /// # Errors
    /// As [`ControlPlane::start`] and [`ControlPlane::existing`]; the next caller tries again.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        let start = async || match env::var_os(KUBECONFIG_VARIABLE) {
            Some(path) => Self::existing(Path::new(&path)).await,
            None => Self::start().await,
        };
        SHARED.get_or_try_init(start).await
    }

    /// The kubeconfig of a cluster administrator, with all credentials inline.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The same for kube's client. The caller decides on `default_retry`.
    #[must_use]
    pub fn client_config(&self) -> Config {
        self.config.clone()
    }

    /// The directory of the programs' logs and data; none for an existing cluster.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.processes.as_ref().map(Processes::home)
    }

    /// The API server's audit log of requests by service accounts, a JSON object per line. None for an existing cluster.
    #[must_use]
    pub fn audit_log(&self) -> Option<PathBuf> {
        self.home().map(|home| home.join(components::AUDIT_LOG))
    }

    /// The path of a program, such as `kubectl`.
    ///
    /// # Errors
    /// When this control plane has no program of that name.
    pub fn binary(&self, name: &str) -> Result<PathBuf> {
        let known = || {
            format!(
                "this control plane has no program {name}, only {:?}",
                self.binaries.keys()
            )
        };
        self.binaries.get(name).cloned().with_context(known)
    }

    /// A kubectl command that uses this cluster.
    ///
    /// # Errors
    /// As [`ControlPlane::binary`].
    pub fn kubectl(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Command> {
        let mut command = Command::new(self.binary("kubectl")?);
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        if let Some(home) = self.home() {
            // kubectl caches discovery by host and port, and other clusters will reuse our ports.
            command.env("KUBECACHEDIR", home.join("kubectl"));
        }
        Ok(command)
    }

    /// Starts another program, which stops with this control plane. Returns the log that gets its output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &'static str, command: Command) -> Result<PathBuf> {
        let processes = match &mut self.processes {
            Some(processes) => processes,
            none => none.insert(Processes::new()?),
        };
        processes.spawn(name, command)?;
        Ok(processes.log(name))
    }

    /// The process id of a program; none if it is not running.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        self.processes.as_ref()?.pid(name)
    }

    /// Sends SIGTERM to one program, as Kubernetes does to stop a pod, and waits until it has ended.
    ///
    /// # Errors
    /// When the program is not running, or still running after two minutes.
    pub async fn end(&mut self, name: &str) -> Result<()> {
        let processes = self.processes.as_mut().context("no program was started")?;
        processes.end(name).await
    }

    /// Checks that every program is still running.
    ///
    /// # Errors
    /// When one has ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.processes.as_mut().map_or(Ok(()), Processes::check)
    }

    /// Stops everything that was started and waits until it is gone. Dropping does the same.
    pub fn stop(self) {
        drop(self);
    }
}

/// Starts the three programs and waits until they are ready.
async fn boot(processes: &mut Processes, components: &Components, config: &Config) -> Result<()> {
    let mut once = config.clone();
    once.default_retry = false; // `until` retries
    let client = Client::try_from(once)?;
    processes.spawn("etcd", components.etcd())?;
    processes.spawn("kube-apiserver", components.api_server())?;
    until(processes, "kube-apiserver", async || {
        is_ready(&client).await
    })
    .await?;
    processes.spawn("kube-controller-manager", components.controller_manager())?;
    let accounts = Api::<ServiceAccount>::default_namespaced(client.clone());
    until(processes, "kube-controller-manager", async || {
        Ok(accounts.get("default").await.map(drop)?)
    })
    .await
}

/// The version of the API server that a kubeconfig leads to, such as `v1.37.2`.
///
/// # Errors
/// When the kubeconfig cannot be used, or the API server does not answer.
pub async fn server_version(kubeconfig: &Path) -> Result<String> {
    let client = Client::try_from(read_config(kubeconfig).await?)?;
    Ok(client.apiserver_version().await?.git_version)
}

async fn read_config(kubeconfig: &Path) -> Result<Config> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("read {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    config.with_context(|| format!("use {}", kubeconfig.display()))
}

async fn is_ready(client: &Client) -> Result<()> {
    client
        .request_text(http::Request::get("/readyz").body(Vec::new())?)
        .await?;
    Ok(())
}

/// Repeats `done` until it succeeds, a program exits, or the time is up. The error contains the end of the log of `name`.
async fn until(
    processes: &mut Processes,
    name: &str,
    done: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        processes.check()?;
        // A request to an API server that has just opened its port can hang.
        let answer = tokio::time::timeout(Duration::from_secs(2), done()).await;
        let Err(error) = answer.unwrap_or_else(|_| Err(anyhow!("no response"))) else {
            return Ok(());
        };
        if start.elapsed() > START_TIMEOUT {
            bail!(
                "not ready after {START_TIMEOUT:?} ({error:#}); the end of {name}'s log:\n{}",
                tail(&processes.log(name))
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("({}: {error})", log.display()),
    };
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
