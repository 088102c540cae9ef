//! The same faults for another process: plain HTTP on the loopback, and behind it a client with the fault layer.

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

/// A way to the API server on which requests fail as told. Dropping it ends it.
///
/// A request that a fault ends without an answer ends its connection, and so does one that the API server does not answer.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port; requests go on with the credentials of `config`.
    ///
    /// # Errors
    /// The configuration cannot be used, or there is no port.
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
    // The error of a service ends its connection, which is what the other process is to see.
    let service = service_fn(|request| pass_on(request, client.clone()));
    // How a connection ends concerns the other process alone.
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
