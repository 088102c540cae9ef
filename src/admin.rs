//! The operator's own small server: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::listen::listen;
use crate::metrics::Metrics;
use provident_core::api::APPLY_CRDS;

/// How far the operator has come, as `/readyz` tells it.
#[derive(Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

/// The stages of [`Readiness`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// The first lists are not read yet.
    Starting = 0,
    /// Objects are being reconciled.
    Ready = 1,
    /// A watch has been silent for too long, so the caches may be stale.
    WatchesStalled = 2,
    /// The process is shutting down.
    Stopping = 3,
    /// The CRDs are missing, or older than this program.
    CrdsOutdated = 4,
}

impl Readiness {
    /// Notes a stage.
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::SeqCst);
    }

    /// The stage, and whether it counts as ready.
    fn text(&self) -> (StatusCode, String) {
        let not_ready = |why: &str| {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {why}\n"),
            )
        };
        match self.0.load(Ordering::SeqCst) {
            1 => (StatusCode::OK, "ready\n".to_owned()),
            2 => not_ready("no answer from the API server's watches"),
            3 => not_ready("stopping"),
            4 => not_ready(&format!(
                "the CustomResourceDefinitions are missing or older than this version; what they lack is in the log. \
                 Run: {APPLY_CRDS}"
            )),
            _ => not_ready("waiting for the first lists from the API server"),
        }
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    readiness: Readiness,
}

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken, or not ours.
    #[error("--metrics-bind-address {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Serves on `address` until `stop`; returns the address it got. `[::]` serves IPv6 and IPv4.
///
/// # Errors
/// The address cannot be bound.
#[expect(
    clippy::unused_async,
    reason = "it spawns, so it must be called within a runtime"
)]
pub async fn serve(
    address: SocketAddr,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<SocketAddr, AdminError> {
    let bind = |source| AdminError::Bind { address, source };
    let listener = listen(address).map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let app = Router::new()
        // Says that the process runs and its event loop turns, and nothing of the API server or the vendor: a restart
        // mends neither, and would lose answers.
        .route("/livez", get(|| async { "alive\n" }))
        .route(
            "/readyz",
            get(|State(shared): State<Shared>| async move { shared.readiness.text() }),
        )
        .route(
            "/metrics",
            get(|State(shared): State<Shared>| async move { metrics_text(&shared.metrics) }),
        )
        .with_state(Shared { metrics, readiness });
    tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin server ended");
        }
    });
    Ok(local)
}

fn metrics_text(metrics: &Metrics) -> impl IntoResponse + use<> {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.text())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn is_alive(ip: IpAddr, port: u16) -> bool {
        let Ok(mut stream) = TcpStream::connect((ip, port)).await else {
            return false;
        };
        let request = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.contains("200 OK") && text.contains("alive")
    }

    async fn served(address: &str) -> (SocketAddr, CancellationToken) {
        let stop = CancellationToken::new();
        let address = serve(
            address.parse().unwrap(),
            Metrics::default(),
            Readiness::default(),
            stop.clone(),
        );
        (address.await.unwrap(), stop)
    }

    #[tokio::test]
    async fn the_unspecified_ipv6_address_serves_both_families() {
        let (address, _stop) = served("[::]:0").await;
        assert!(is_alive(Ipv4Addr::LOCALHOST.into(), address.port()).await);
        // Where IPv6 is off, IPv4 is all there is.
        if address.is_ipv6() {
            assert!(is_alive(Ipv6Addr::LOCALHOST.into(), address.port()).await);
        }
    }

    #[tokio::test]
    async fn an_address_is_served_alone() {
        let (address, _stop) = served("127.0.0.1:0").await;
        assert!(is_alive(Ipv4Addr::LOCALHOST.into(), address.port()).await);
        assert!(!is_alive(Ipv6Addr::LOCALHOST.into(), address.port()).await);
    }
}
