//! The release's emulator, as a vendor that outlives the release.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{
    SYSTEM, Test,
    tools::{WAIT, until},
};

const DEPLOYMENT: &str = "provident-operator-emulator";
const PODS: &str = "app.kubernetes.io/component=emulator";
/// The chart's default.
const TOKEN: &str = "demo";

impl Test {
    /// Detaches the emulator's pod from its Deployment but not from its Service. Returns its base URL.
    pub(super) fn keep_vendor(&self) -> Result<String> {
        let get = format!("get pods -n {SYSTEM} -l {PODS} -o");
        let name = "jsonpath={.items[0].metadata.name}";
        let pod = self.kubectl_with(&get, &[name])?;
        self.kubectl(&format!(
            "label pod {pod} -n {SYSTEM} pod-template-hash=kept --overwrite"
        ))?;
        self.kubectl(&format!(
            "scale deployment {DEPLOYMENT} -n {SYSTEM} --replicas=0"
        ))?;
        let addresses = r"jsonpath={range .items[*]}{.status.podIP}{'\n'}{end}";
        let address = until("only the kept pod exists", || {
            let addresses = self.kubectl_with(&get, &[addresses])?;
            Ok((addresses.lines().count() == 1).then_some(addresses))
        })?;
        self.kubectl(&format!(
            "wait --for=condition=Ready pod/{pod} -n {SYSTEM} --timeout={}s",
            WAIT.as_secs()
        ))?;
        Ok(format!("http://{address}:8090/v2"))
    }

    pub(super) async fn is_active(&self, vendor: &str) -> Result<()> {
        let url = format!("{vendor}/oauth2/clients/{}", self.secret("clientId")?);
        let request = self.http.get(url).bearer_auth(TOKEN);
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        let client: Value = serde_json::from_slice(&answer)?;
        ensure!(
            client["isActive"] == true,
            "the client is not active at the vendor"
        );
        Ok(())
    }
}
