//! The application: a Deployment that uses the Secret as files and as environment variables, and gets a token with each.

use anyhow::{Result, ensure};
use harness::node::APP_IMAGE;

use super::{
    SHOP, Test,
    tools::{WAIT, client, until},
};

/// The name of the client, its Secret and the Deployment.
const NAME: &str = "storefront";

impl Test {
    /// Applies client and Deployment together: the pod waits for the Secret.
    pub(super) fn application(&mut self) -> Result<()> {
        let target =
            format!("spec: {{ rolloutRestartTargets: [{{ kind: Deployment, name: {NAME} }}], ");
        let client = client(NAME, SHOP).replace("spec: { ", &target);
        self.apply(&format!("{client}{}", deployment()))?;
        self.rolled_out()?;
        self.got_tokens()?;
        self.clock.done(
            "an application gets tokens with the Secret as files and as environment variables",
        );
        Ok(())
    }

    pub(super) fn rotate(&mut self) -> Result<()> {
        let before = self.secret("clientSecret")?;
        self.kubectl(&format!(
            "annotate oac {NAME} -n {SHOP} oauth.provident.ae/rotate=1"
        ))?;
        until("the Deployment is restarted", || {
            Ok((self.revision()? == "2").then_some(()))
        })?;
        self.rolled_out()?;
        ensure!(
            self.secret("clientSecret")? != before,
            "the Secret still holds the old client secret"
        );
        self.got_tokens()?;
        self.clock.done(
            "a rotation restarts the Deployment, which gets tokens with the new client secret",
        );
        Ok(())
    }

    /// Checks that the application is ready and was restarted by the rotation only.
    pub(super) fn application_runs(&self) -> Result<()> {
        self.rolled_out()?;
        ensure!(
            self.revision()? == "2",
            "the Deployment was restarted again"
        );
        let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let restarts =
            self.kubectl_with(&format!("get pods -n {SHOP} -l app={NAME} -o"), &[restarts])?;
        ensure!(
            restarts == "0",
            "the application's containers were restarted: {restarts}"
        );
        Ok(())
    }

    /// What must not change without a reason: the client, and the version of its Secret.
    pub(super) fn settled(&self) -> Result<String> {
        let client = self.kubectl_with(
            &format!("get oac {NAME} -n {SHOP} -o"),
            &["jsonpath={.status.clientId} {.status.secretRevision} {.status.conditions[?(@.type==\"Ready\")].status}"],
        )?;
        let secret = "jsonpath={.metadata.uid} {.metadata.resourceVersion}";
        let secret = self.kubectl_with(&format!("get secret {NAME} -n {SHOP} -o"), &[secret])?;
        Ok(format!("{client} {secret}"))
    }

    pub(super) fn secret(&self, key: &str) -> Result<String> {
        let template = format!("go-template={{{{ index .data \"{key}\" | base64decode }}}}");
        self.kubectl_with(&format!("get secret {NAME} -n {SHOP} -o"), &[&template])
    }

    fn rolled_out(&self) -> Result<()> {
        self.kubectl(&format!(
            "rollout status deployment/{NAME} -n {SHOP} --timeout={}s",
            WAIT.as_secs()
        ))
        .map(drop)
    }

    /// The number of pod templates that the Deployment has had.
    fn revision(&self) -> Result<String> {
        let path = r"jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}";
        self.kubectl_with(&format!("get deployment {NAME} -n {SHOP} -o"), &[path])
    }

    fn got_tokens(&self) -> Result<()> {
        let log = self.kubectl(&format!("logs deployment/{NAME} -n {SHOP}"))?;
        let id = self.secret("clientId")?;
        for source in ["files", "environment"] {
            let line = format!("a token with the credentials from {source}, as client {id}");
            ensure!(
                log.lines().any(|l| l == line),
                "the application's log has no line {line:?}: {log}"
            );
        }
        Ok(())
    }
}

fn deployment() -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {NAME}, namespace: {SHOP} }}
spec:
  selector: {{ matchLabels: {{ app: {NAME} }} }}
  template:
    metadata: {{ labels: {{ app: {NAME} }} }}
    spec:
      automountServiceAccountToken: false
      securityContext: {{ runAsNonRoot: true, seccompProfile: {{ type: RuntimeDefault }} }}
      containers:
        - name: app
          image: {APP_IMAGE}
          args: [serve]
          envFrom: [{{ secretRef: {{ name: {NAME} }} }}]
          volumeMounts: [{{ name: oauth, mountPath: /oauth, readOnly: true }}]
          readinessProbe: {{ tcpSocket: {{ port: 8080 }}, periodSeconds: 1 }}
          securityContext: {{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{ drop: [ALL] }} }}
      volumes: [{{ name: oauth, secret: {{ secretName: {NAME} }} }}]
"
    )
}
