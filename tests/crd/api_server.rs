//! The table of rules against a real API server, and what its users see.

use http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::core::Status;
use kube::runtime::wait::{await_condition, conditions::is_crd_established};
use kube::{Client, ResourceExt};
use provident_operator::api;
use serde_json::{Value, json};

use crate::rules::{NAME, Rule, table};

#[tokio::test]
async fn the_api_server_accepts_and_refuses_what_the_table_says() {
    let client = client().await;
    install(&client).await;
    let mut wrong = Vec::new();
    for (index, rule) in table().iter().enumerate() {
        let namespace = format!("crd-rule-{index}");
        create_namespace(&client, &namespace).await;
        if let Err(what) = check(&client, &namespace, rule).await {
            wrong.push(format!("{} … {}: {what}", rule.field, rule.message));
        }
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        namespaces
            .delete(&namespace, &DeleteParams::default())
            .await
            .unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Both examples of a rule as dry runs, so that no cluster-wide object is left behind.
async fn check(client: &Client, namespace: &str, rule: &Rule) -> Result<(), String> {
    let crd = rule.crd();
    let mut collection = format!("/apis/{}/{}", api::GROUP, api::VERSION);
    if crd.spec.scope == "Namespaced" {
        collection = format!("{collection}/namespaces/{namespace}");
    }
    collection = format!("{collection}/{}", crd.spec.names.plural);

    let mut resource_version = Value::Null;
    let (method, url) = match rule.old_object() {
        None => (Method::POST, collection),
        Some(old) => {
            let item = format!("{collection}/{NAME}");
            let mut stored = send(client, Method::POST, &collection, &old).await.unwrap();
            stored["status"] = old["status"].clone();
            let stored = send(client, Method::PUT, &format!("{item}/status"), &stored)
                .await
                .unwrap();
            resource_version = stored["metadata"]["resourceVersion"].clone();
            (Method::PUT, item)
        }
    };
    let dry_run = format!("{url}?dryRun=All&fieldValidation=Strict");
    let object = |part| {
        let mut object = rule.object(part);
        object["metadata"]["resourceVersion"] = resource_version.clone();
        object
    };

    if let Err(refusal) = send(client, method.clone(), &dry_run, &object(&rule.accepted)).await {
        return Err(format!(
            "refused {}: {}",
            json!(rule.accepted),
            refusal.message
        ));
    }
    let Err(refusal) = send(client, method, &dry_run, &object(&rule.refused)).await else {
        return Err(format!("accepted {}", json!(rule.refused)));
    };
    let causes = refusal
        .details
        .as_ref()
        .map(|d| d.causes.as_slice())
        .unwrap_or_default();
    let named = causes
        .iter()
        .any(|cause| cause.field == rule.field && cause.message.contains(&rule.message));
    if named {
        Ok(())
    } else {
        Err(format!("{causes:#?}"))
    }
}

#[tokio::test]
async fn an_object_that_nobody_has_seen_is_not_ready() {
    let client = client().await;
    install(&client).await;
    create_namespace(&client, "crd-default").await;
    let clients: Api<api::OAuthClient> = Api::namespaced(client.clone(), "crd-default");
    // A template that leaves a null means "not stated".
    let object = json!({
        "apiVersion": "oauth.provident.ae/v1alpha1",
        "kind": "OAuthClient",
        "metadata": { "name": NAME },
        "spec": { "allowedScopes": ["listings:read"], "name": null, "suspend": null, "refreshInterval": null },
    });
    let collection = "/apis/oauth.provident.ae/v1alpha1/namespaces/crd-default/oauthclients";
    send(&client, Method::POST, collection, &object)
        .await
        .unwrap();

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

    // Who owns this id? A field selector answers.
    let status = json!({ "status": { "clientId": "abc" } });
    clients
        .patch_status(NAME, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let selected = |selector: &str| kube::api::ListParams::default().fields(selector);
    let owners = clients
        .list(&selected("status.clientId=abc"))
        .await
        .unwrap();
    assert_eq!(
        owners.iter().map(ResourceExt::name_any).collect::<Vec<_>>(),
        [NAME]
    );
    assert_eq!(
        clients
            .list(&selected("status.clientId=other"))
            .await
            .unwrap()
            .items
            .len(),
        0
    );
}

async fn client() -> Client {
    let path = std::env::var("KUBECONFIG").unwrap();
    let config = kube::config::Kubeconfig::read_from(path).unwrap();
    let mut config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
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

async fn create_namespace(client: &Client, name: &str) {
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    send(client, Method::POST, "/api/v1/namespaces", &body)
        .await
        .unwrap();
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
