//! Connections: plain HTTP/1.1 by hyper, so that one can be closed without an answer, and all of them at once.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// As an extension of a response, or the error of a body: close this connection now.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection is cut on purpose")]
pub(super) struct CutConnection;

/// Accepts until stopped, then closes all connections, whatever they are doing. `cut` closes those that are open.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    cut: watch::Receiver<()>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, router.clone(), cut.clone()));
            }
            // Out of file descriptors, or the peer is gone already: neither ends the listener.
            Err(error) => {
                tracing::warn!(%error, "the emulator could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut cut: watch::Receiver<()>,
) {
    // A slow body is sent byte by byte, not collected.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let service = service_fn(|request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            match response.extensions().get::<CutConnection>() {
                Some(cut) => Err(*cut),
                None => Ok(response),
            }
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    cut.mark_unchanged();
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection to the emulator ended early");
        },
        Ok(()) = cut.changed() => {}
    }
}
