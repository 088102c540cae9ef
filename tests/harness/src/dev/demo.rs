//! `cargo dev demo`: shows the whole life of a client from end to end, with the real operator.

mod commands;
mod life;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use harness::{ControlPlane, binaries::Release};
use serde_json::Value;

use crate::signals;

const TOKEN: &str = "demo-token-of-the-emulator";
const WAIT: Duration = Duration::from_secs(30);

/// Runs the demo. Ctrl-C ends it, and everything that it started, at any time.
pub async fn demo(release: Release, kubeconfig: Option<&Path>) -> Result<()> {
    let signal = signals::received()?;
    tokio::select! {
        result = run(release, kubeconfig) => result,
        name = signal => bail!("{name}"),
    }
}

struct Demo {
    cluster: ControlPlane,
    root: PathBuf,
    base_url: String,
    http: reqwest::Client,
    began: Instant,
}

async fn run(release: Release, kubeconfig: Option<&Path>) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let began = Instant::now();
    let operator = build(&root)?;
    let cluster = match kubeconfig {
        Some(path) => ControlPlane::existing(path).await?,
        None => ControlPlane::start_release(release).await?,
    };
    let http = reqwest::Client::builder().no_proxy().build()?;
    let base_url = String::new();
    let mut demo = Demo {
        cluster,
        root,
        base_url,
        http,
        began,
    };
    demo.say("Kubernetes is running");
    demo.start(&operator)?;
    demo.create()?;
    demo.use_credentials().await?;
    demo.change().await?;
    demo.life().await?;
    demo.delete().await?;
    demo.say("Done. Stopping everything that the demo started");
    Ok(())
}

// What a user would type is printed as a command, with its output.
impl Demo {
    fn start(&mut self, operator: &Path) -> Result<()> {
        let mut emulator = Command::new(operator.with_file_name("provident-emulator"));
        emulator.args(["--listen", "127.0.0.1:0", "--token", TOKEN]);
        let log = self.cluster.spawn("emulator", emulator)?;
        self.base_url = self.spawned("the emulator listens", || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            Ok(text
                .lines()
                .find_map(|line| line.strip_prefix("base URL: ").map(str::to_owned)))
        })?;
        self.say(&format!(
            "The emulator plays the vendor at {}",
            self.base_url
        ));

        self.show(&["apply", "-f", "crds/"])?;
        for namespace in ["provident-system", "shop"] {
            let object = format!(
                r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#
            );
            self.apply(&object)?;
        }
        let token = format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"provident-token","namespace":"provident-system"}},"stringData":{{"token":"{TOKEN}"}}}}"#
        );
        self.apply(&token)?;
        let host = self.base_url.trim_end_matches("/v2");
        let mut run = Command::new(operator);
        run.args([
            "run",
            "--metrics-bind-address",
            "127.0.0.1:0",
            "--allowed-internal-host",
            host,
        ]);
        run.env("KUBECONFIG", self.cluster.kubeconfig());
        self.cluster.spawn("operator", run)?;
        let sample = fs::read_to_string(self.root.join("docs/samples/connection.yaml"))?;
        self.apply(&sample.replace("https://api.provident.ae/v2", &self.base_url))?;
        self.wait("clusterprovidentconnection/default", "default")?;
        self.say("The operator is running, and the vendor accepts its token");
        self.show(&["get", "clusterprovidentconnections"])
    }

    fn create(&mut self) -> Result<()> {
        let applied = Instant::now();
        self.show(&["apply", "-f", "docs/samples/oauthclient.yaml"])?;
        self.wait("oauthclient/storefront", "shop")?;
        self.say(&format!(
            "Ready {} ms after apply",
            applied.elapsed().as_millis()
        ));
        self.show(&["get", "oac", "-n", "shop"])?;
        self.show(&["describe", "secret", "storefront", "-n", "shop"])
    }

    async fn use_credentials(&mut self) -> Result<()> {
        let [id, secret, url] =
            ["clientId", "clientSecret", "tokenUrl"].map(|key| self.secret(key));
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            id?, secret?
        );
        let request = self
            .http
            .post(url?)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        let answer: Value =
            serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?;
        ensure!(
            answer["access_token"].is_string(),
            "the emulator returned no token"
        );
        self.say(&format!(
            "These credentials get a {} token that is valid for {} s",
            answer["token_type"], answer["expires_in"]
        ));
        Ok(())
    }

    async fn change(&mut self) -> Result<()> {
        let patch = r#"{"spec":{"redirectUris":["https://shop.example.com/auth/new"]}}"#;
        let changed = Instant::now();
        self.patch(patch)?;
        let id = self.secret("clientId")?;
        let found = self
            .vendor_until(&id, |client| {
                client["redirectUris"][0] == "https://shop.example.com/auth/new"
            })
            .await?;
        self.say(&format!(
            "The vendor has the change {} ms later: redirectUris {}",
            changed.elapsed().as_millis(),
            found["redirectUris"]
        ));
        Ok(())
    }

    async fn delete(&mut self) -> Result<()> {
        let id = self.secret("clientId")?;
        self.show(&["delete", "oac", "storefront", "-n", "shop"])?;
        let found = self
            .vendor_until(&id, |client| client["isActive"] == false)
            .await?;
        self.say(&format!(
            "The client is deactivated at the vendor: isActive {}",
            found["isActive"]
        ));
        Ok(())
    }

    async fn vendor_until(&self, id: &str, matches: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + WAIT;
        loop {
            let request = self
                .http
                .get(format!("{}/oauth2/clients/{id}", self.base_url))
                .bearer_auth(TOKEN);
            let client: Value =
                serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?;
            if matches(&client) {
                return Ok(client);
            }
            ensure!(
                Instant::now() < deadline,
                "the vendor did not get the change within {WAIT:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

// Builds the operator and the emulator as a user would.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Selects the same packages as `cargo dev` does, so that nothing is compiled twice.
    command.args(["build", "--bin", "provident-operator"]);
    command.args(["--bin", "provident-emulator"]);
    let status = command.current_dir(root).status().context("run cargo")?;
    ensure!(
        status.success(),
        "the build of the operator or the emulator failed"
    );
    let me = std::env::current_exe()?;
    Ok(me.with_file_name("provident-operator"))
}
