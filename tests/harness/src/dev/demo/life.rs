//! The later life of a client: rotation, repair, drift, adoption, deletion with Retain and return.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Demo, TOKEN, WAIT};

/// Short enough to measure what takes about 10 ms.
const PAUSE: Duration = Duration::from_millis(5);

impl Demo {
    /// Shows the whole life of a client after its creation.
    pub async fn life(&mut self) -> Result<()> {
        self.rotate().await?;
        self.repair()?;
        self.drift().await?;
        self.adopt().await?;
        self.retain_and_return()
    }

    async fn rotate(&mut self) -> Result<()> {
        let before = self.secret("clientSecret")?;
        let asked = Instant::now();
        self.annotate("oauth.provident.ae/rotate=1")?;
        until("the Secret holds another client secret", || {
            let now = self.secret("clientSecret")?;
            Ok((now != before).then_some(()))
        })?;
        self.took("Rotated: the Secret holds the new client secret", asked);
        self.use_credentials().await
    }

    fn repair(&mut self) -> Result<()> {
        let (id, secret) = (self.secret("clientId")?, self.secret("clientSecret")?);
        self.show(&["delete", "secret", "storefront", "-n", "shop"])?;
        let deleted = Instant::now();
        let same = || {
            let back = (
                self.secret("clientId").ok(),
                self.secret("clientSecret").ok(),
            );
            Ok((back == (Some(id.clone()), Some(secret.clone()))).then_some(()))
        };
        until("the Secret is back", same)?;
        self.took(
            "The Secret is back, with the same client and client secret,",
            deleted,
        );
        Ok(())
    }

    async fn drift(&mut self) -> Result<()> {
        let id = self.secret("clientId")?;
        self.put(&id, &json!({ "redirectUris": ["https://evil.example"] }))
            .await?;
        self.say("Someone changes redirectUris at the vendor");
        let asked = Instant::now();
        self.annotate("oauth.provident.ae/reconcile=1")?;
        let right = "https://shop.example.com/auth/new";
        self.vendor_until(&id, |client| client["redirectUris"][0] == right)
            .await?;
        self.took(
            "Corrected on request; without one, at the next refreshInterval:",
            asked,
        );
        Ok(())
    }

    async fn adopt(&mut self) -> Result<()> {
        let body =
            json!({ "name": "Legacy", "redirectUris": [], "allowedScopes": ["listings:read"] });
        let request = self
            .http
            .post(format!("{}/oauth2/clients", self.base_url))
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        let made: Value = serde_json::from_slice(&answer)?;
        let (id, secret) = (text(&made, "clientId")?, text(&made, "clientSecret")?);
        self.apply(
            &json!({
                "apiVersion": "v1", "kind": "Secret",
                // Its owner's consent: without it, the operator takes over no existing Secret.
                "metadata": {
                    "name": "legacy", "namespace": "shop",
                    "annotations": { "oauth.provident.ae/allow-adoption": "legacy" },
                },
                "stringData": { "clientId": id, "clientSecret": secret },
            })
            .to_string(),
        )?;
        self.say("A client that was created by hand, and the Secret that its application mounts");
        let rule =
            r#"{"spec":{"access":[{"namespaces":["shop"],"scopes":["*"],"allowAdoption":true}]}}"#;
        self.show(&[
            "patch",
            "clusterprovidentconnection",
            "default",
            "--type",
            "merge",
            "-p",
            rule,
        ])?;
        let declared = Instant::now();
        self.apply(&json!({
            "apiVersion": "oauth.provident.ae/v1alpha1", "kind": "OAuthClient",
            "metadata": { "name": "legacy", "namespace": "shop" },
            "spec": {
                "allowedScopes": ["listings:read"],
                "secret": { "stringData": { "clientId": "$(clientId)", "clientSecret": "$(clientSecret)" } },
                "adoption": { "clientId": id, "secretKeyRef": { "name": "legacy", "key": "clientSecret" } },
            },
        }).to_string())?;
        self.wait("oauthclient/legacy", "shop")?;
        self.took(
            "Adopted in place, with the client secret as the proof,",
            declared,
        );
        self.show(&["get", "oac", "-n", "shop"])
    }

    fn retain_and_return(&mut self) -> Result<()> {
        let id = self.secret("clientId")?;
        let retain = r#"{"spec":{"deletionPolicy":"Retain"}}"#;
        self.patch(retain)?;
        self.show(&["delete", "oac", "storefront", "-n", "shop"])?;
        ensure!(self.secret("clientId")? == id, "the Secret was not kept");
        self.say("Deleted with Retain: the client and its Secret are kept");
        let declared = Instant::now();
        self.show(&["apply", "-f", "docs/samples/oauthclient.yaml"])?;
        self.wait("oauthclient/storefront", "shop")?;
        ensure!(self.secret("clientId")? == id, "another client was created");
        self.took(
            "Created again: the binding leads to the same client,",
            declared,
        );
        Ok(())
    }

    fn annotate(&self, annotation: &str) -> Result<()> {
        self.show(&["annotate", "oac", "storefront", "-n", "shop", annotation])
    }

    async fn put(&self, id: &str, fields: &Value) -> Result<()> {
        let request = self
            .http
            .put(format!("{}/oauth2/clients/{id}", self.base_url))
            .bearer_auth(TOKEN)
            .header("content-type", "application/json")
            .body(fields.to_string());
        request.send().await?.error_for_status()?;
        Ok(())
    }

    fn took(&self, what: &str, since: Instant) {
        self.say(&format!("{what} {} ms later", since.elapsed().as_millis()));
    }
}

fn until(what: &str, probe: impl Fn() -> Result<Option<()>>) -> Result<()> {
    let deadline = Instant::now() + WAIT;
    while probe()?.is_none() {
        ensure!(
            Instant::now() < deadline,
            "timed out after {WAIT:?} waiting until {what}"
        );
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn text(client: &Value, key: &str) -> Result<String> {
    let text = client[key].as_str().with_context(|| format!("no {key}"))?;
    Ok(text.to_owned())
}
