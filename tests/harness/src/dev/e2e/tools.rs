//! kubectl and helm, as a user types them.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use harness::command::output;

use super::{SHOP, Test};

/// Long enough for a loaded machine to start a pod.
pub(super) const WAIT: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(50);

impl Test {
    /// Runs kubectl with arguments that are separated by spaces.
    pub(super) fn kubectl(&self, words: &str) -> Result<String> {
        self.kubectl_with(words, &[])
    }

    /// The same with more arguments, which may contain spaces.
    pub(super) fn kubectl_with(&self, words: &str, more: &[&str]) -> Result<String> {
        let mut kubectl = self.node.control_plane().kubectl(words.split(' '))?;
        output(kubectl.args(more).current_dir(&self.root))
    }

    pub(super) fn apply(&self, manifest: &str) -> Result<()> {
        let file = self.home()?.join("manifest.yaml");
        fs::write(&file, manifest)?;
        self.kubectl_with("apply -f", &[&file.to_string_lossy()])
            .map(drop)
    }

    pub(super) fn helm(&self, words: &str) -> Result<String> {
        let mut helm = Command::new(&self.helm);
        helm.args(words.split_whitespace()).current_dir(&self.root);
        let home = self.home()?.join("helm");
        helm.env("KUBECONFIG", self.node.control_plane().kubeconfig());
        for base in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(base, &home);
        }
        output(&mut helm)
    }

    /// Creates one more client and waits until it is ready.
    pub(super) fn serve(&self, name: &str) -> Result<Duration> {
        let declared = Instant::now();
        self.apply(&client(name, SHOP))?;
        self.kubectl(&format!(
            "wait --for=condition=Ready oac/{name} -n {SHOP} --timeout={}s",
            WAIT.as_secs()
        ))?;
        Ok(declared.elapsed())
    }

    pub(super) fn home(&self) -> Result<&std::path::Path> {
        let home = self.node.control_plane().home();
        home.context("the control plane has no home directory")
    }
}

/// The smallest manifest of a client.
pub(super) fn client(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: oauth.provident.ae/v1alpha1\nkind: OAuthClient\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ allowedScopes: [\"listings:read\"] }}\n---\n"
    )
}

/// Repeats the probe until it returns something.
pub(super) fn until<T>(what: &str, probe: impl Fn() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        ensure!(
            began.elapsed() < WAIT,
            "timed out after {WAIT:?} waiting until {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
