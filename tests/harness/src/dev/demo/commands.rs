//! The commands of the demo: those that it shows, as a user would type them, and those in the background.

use std::{
    io::Write,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Demo, WAIT};

impl Demo {
    pub(super) fn say(&self, what: &str) {
        println!("\n[{:5.1} s] {what}", self.began.elapsed().as_secs_f32());
    }

    pub(super) fn show(&self, args: &[&str]) -> Result<()> {
        println!(
            "$ kubectl {}",
            args.iter()
                .map(|arg| quoted(arg))
                .collect::<Vec<_>>()
                .join(" ")
        );
        let status = self
            .cluster
            .kubectl(args)?
            .current_dir(&self.root)
            .status()?;
        ensure!(status.success(), "kubectl {} failed", args[0]);
        Ok(())
    }

    pub(super) fn patch(&self, patch: &str) -> Result<()> {
        self.show(&[
            "patch",
            "oac",
            "storefront",
            "-n",
            "shop",
            "--type",
            "merge",
            "-p",
            patch,
        ])
    }

    pub(super) fn wait(&self, object: &str, namespace: &str) -> Result<()> {
        let args = [
            "wait",
            "--for=condition=Ready",
            "--timeout=30s",
            "-n",
            namespace,
            object,
        ];
        let output = self.cluster.kubectl(args)?.output()?;
        ensure!(
            output.status.success(),
            "{object} did not become Ready: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    pub(super) fn apply(&self, object: &str) -> Result<()> {
        let mut kubectl = self.cluster.kubectl(["apply", "-f", "-"])?;
        let mut child = kubectl
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        child
            .stdin
            .take()
            .context("kubectl has no stdin")?
            .write_all(object.as_bytes())?;
        ensure!(child.wait()?.success(), "kubectl apply failed");
        Ok(())
    }

    pub(super) fn secret(&self, key: &str) -> Result<String> {
        let template = format!("go-template={{{{ index .data \"{key}\" | base64decode }}}}");
        let output = self
            .cluster
            .kubectl(["get", "secret", "storefront", "-n", "shop", "-o", &template])?
            .output()?;
        ensure!(output.status.success(), "the Secret has no {key}");
        Ok(String::from_utf8(output.stdout)?)
    }

    pub(super) fn spawned<T>(
        &mut self,
        what: &str,
        probe: impl Fn() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(value) = probe()? {
                return Ok(value);
            }
            self.cluster.check()?;
            ensure!(
                Instant::now() < deadline,
                "timed out after {WAIT:?} waiting until {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn quoted(arg: &str) -> String {
    if arg.contains(['{', ' ', '"']) {
        format!("'{arg}'")
    } else {
        arg.to_owned()
    }
}
