//! The table of rules against a real API server, and what its users see.

use harness::ControlPlane;
use http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::{Status, response::StatusCause};
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Client, CustomResourceExt, ResourceExt};
use provident_core::api;
use serde_json::{Value, json};

use crate::rules::{NAME, Rule, table};
use crate::status::complete_status;

#[tokio::test]
async fn the_api_server_accepts_and_refuses_what_the_table_says() {
    let client = client().await;
    install(&client).await;
    let namespace = create_namespace(&client).await;
    let mut wrong = Vec::new();
    for rule in &table() {
        if let Err(what) = check(&client, &namespace, rule).await {
            wrong.push(format!("{} … {}: {what}", rule.field, rule.message));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sends both examples of a rule as dry runs.
async fn check(client: &Client, namespace: &str, rule: &Rule) -> Result<(), String> {
    let collection = collection(&rule.crd(), namespace);
    let item = format!("{collection}/{NAME}");
    let Some(old) = rule.old_object() else {
        return judge(client, Method::POST, &collection, rule, &Value::Null).await;
    };
    let mut stored = send(client, Method::POST, &collection, &old).await.unwrap();
    stored["status"] = old["status"].clone();
    let stored = send(client, Method::PUT, &format!("{item}/status"), &stored)
        .await
        .unwrap();
    let judged = judge(
        client,
        Method::PUT,
        &item,
        rule,
        &stored["metadata"]["resourceVersion"],
    )
    .await;
    send(client, Method::DELETE, &item, &json!({}))
        .await
        .unwrap();
    judged
}

async fn judge(
    client: &Client,
    method: Method,
    url: &str,
    rule: &Rule,
    resource_version: &Value,
) -> Result<(), String> {
    let dry_run = format!("{url}?dryRun=All&fieldValidation=Strict");
    let try_spec = async |part| {
        let mut object = rule.object(part);
        object["metadata"]["resourceVersion"] = resource_version.clone();
        send(client, method.clone(), &dry_run, &object).await
    };
    if let Err(refusal) = try_spec(&rule.accepted).await {
        return Err(format!(
            "refused {}: {}",
            json!(rule.accepted),
            refusal.message
        ));
    }
    let Err(refusal) = try_spec(&rule.refused).await else {
        return Err(format!("accepted {}", json!(rule.refused)));
    };
    let causes = refusal
        .details
        .map(|details| details.causes)
        .unwrap_or_default();
    let says_so = |cause: &StatusCause| {
        cause.field == rule.field
            && cause.message.contains(&rule.message)
            && cause.message.contains(&rule.names)
    };
    if causes.iter().any(says_so) {
        Ok(())
    } else {
        Err(format!("{causes:#?}"))
    }
}

#[tokio::test]
async fn an_object_that_nobody_has_seen_is_not_ready() {
    let client = client().await;
    install(&client).await;
    let namespace = create_namespace(&client).await;
    let clients: Api<api::OAuthClient> = Api::namespaced(client.clone(), &namespace);
    // A template that leaves a null means "not stated".
    let object = json!({
        "apiVersion": "oauth.provident.ae/v1alpha1",
        "kind": "OAuthClient",
        "metadata": { "name": NAME },
        "spec": { "allowedScopes": ["listings:read"], "name": null, "suspend": null, "refreshInterval": null },
    });
    let url = collection(&api::OAuthClient::crd(), &namespace);
    send(&client, Method::POST, &url, &object).await.unwrap();

    let stored = clients.get(NAME).await.unwrap();
    let ready = stored
        .condition(api::ConditionType::Ready)
        .expect("a default");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", api::Reason::Pending.as_str())
    );
    assert!(
        ready.message.contains("operator is not running"),
        "{}",
        ready.message
    );
    assert_ne!(
        stored.status.as_ref().unwrap().observed_generation,
        stored.metadata.generation
    );
    assert_eq!(stored.spec.refresh_interval, "1h");
    assert_eq!(stored.spec.connection_ref, api::ConnectionRef::default());
    assert_eq!(stored.spec.suspend, None);

    // Whatever the operator writes is stored, and a field selector tells who owns a clientId.
    let status = json!({ "status": complete_status() });
    let stored = clients
        .patch_status(NAME, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!(
        serde_json::to_value(stored.status).unwrap(),
        complete_status()
    );
    for (selector, owners) in [
        ("status.clientId=abc", vec![NAME.to_owned()]),
        ("status.clientId=other", vec![]),
    ] {
        let found = clients
            .list(&ListParams::default().fields(selector))
            .await
            .unwrap();
        assert_eq!(
            found.iter().map(ResourceExt::name_any).collect::<Vec<_>>(),
            owners,
            "{selector}"
        );
    }
}

async fn client() -> Client {
    let mut config = ControlPlane::shared().await.unwrap().client_config();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

async fn install(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in api::crds() {
        let name = crd.name_any();
        definitions
            .patch(
                &name,
                &PatchParams::apply("crd-test").force(),
                &Patch::Apply(crd),
            )
            .await
            .unwrap();
        await_condition(definitions.clone(), &name, is_crd_established())
            .await
            .unwrap();
    }
}

async fn create_namespace(client: &Client) -> String {
    let body =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": "crd-" } });
    let namespace = send(client, Method::POST, "/api/v1/namespaces", &body)
        .await
        .unwrap();
    namespace["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Where the objects of a kind are.
fn collection(crd: &CustomResourceDefinition, namespace: &str) -> String {
    let version = format!("/apis/{}/{}", api::GROUP, api::VERSION);
    match crd.spec.scope.as_str() {
        "Namespaced" => format!("{version}/namespaces/{namespace}/{}", crd.spec.names.plural),
        _ => format!("{version}/{}", crd.spec.names.plural),
    }
}

/// One request; a refusal as the API server words it.
async fn send(
    client: &Client,
    method: Method,
    url: &str,
    body: &Value,
) -> Result<Value, Box<Status>> {
    let body = serde_json::to_vec(body).unwrap();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json");
    match client.request(request.body(body).unwrap()).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(status),
        Err(error) => panic!("{url}: {error}"),
    }
}

#[tokio::test]
async fn the_api_server_accepts_every_sample() {
    let client = client().await;
    install(&client).await;
    let namespace = create_namespace(&client).await;
    let mut samples = 0;
    for file in std::fs::read_dir("docs/samples").unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap() {
            let kind = document["kind"].as_str().unwrap();
            let crds = api::crds();
            let crd = crds.iter().find(|crd| crd.spec.names.kind == kind);
            // A Secret or a namespace beside them is the API server's own.
            let Some(crd) = crd else { continue };
            let mut object = document.clone();
            if crd.spec.scope == "Namespaced" {
                object["metadata"]["namespace"] = json!(namespace);
            }
            let url = format!(
                "{}?dryRun=All&fieldValidation=Strict",
                collection(crd, &namespace)
            );
            if let Err(refusal) = send(&client, Method::POST, &url, &object).await {
                panic!("{}: {}", path.display(), refusal.message);
            }
            samples += 1;
        }
    }
    assert!(samples >= 4, "found only {samples} samples");
}
