//! The same faults for another process: a plain HTTP proxy on the loopback that uses a client with the fault layer.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{
    Client, Config,
    client::{Body, ClientBuilder},
};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::BoxError;

use super::Faults;

/// A proxy to the API server with faults. It stops when it is dropped.
///
/// If a fault or the API server leaves a request without a response, the proxy closes the connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port, and forwards requests with the credentials of `config`.
    ///
    /// # Errors
    /// When the configuration cannot be used, or no port is free.
    pub async fn start(mut config: Config, faults: &Faults) -> Result<Self> {
        config.default_retry = false;
        let client = ClientBuilder::try_from(config)?
            .with_layer(&faults.layer())
            .build();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, client.clone()));
            }
        });
        Ok(Self { address, accepting })
    }

    /// A kubeconfig for the other process.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "faults",
            "clusters": [{ "name": "faults", "cluster": { "server": format!("http://{}", self.address) } }],
            "users": [{ "name": "nobody", "user": {} }],
            "contexts": [{ "name": "faults", "context": { "cluster": "faults", "user": "nobody" } }],
        });
        config.to_string()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(stream: tokio::net::TcpStream, client: Client) {
    // An error of the service closes the connection, which is what the other process should see.
    let service = service_fn(|request| pass_on(request, client.clone()));
    // How a connection ends matters only to the other process.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn pass_on(request: Request<Incoming>, client: Client) -> Result<Response<Body>, BoxError> {
    let (head, body) = request.into_parts();
    let body = Body::from(body.collect().await?.to_bytes());
    match client.send(Request::from_parts(head, body)).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(error.into()),
    }
}
