//! TLS: who is trusted, and for what.

use std::net::SocketAddr;
use std::sync::Arc;

use provident_core::api::Reason;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::world::World;

/// A new authority: its certificate as PEM, and what it signs with.
pub fn authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, Issuer::new(params, key))
}

/// TLS before the vendor, with a certificate for this host that `issuer` signed.
async fn front(
    vendor: SocketAddr,
    host: &str,
    issuer: &Issuer<'static, KeyPair>,
    change: impl FnOnce(&mut CertificateParams),
) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    change(&mut params);
    let certificate = params.signed_by(&key, issuer).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut vendor = TcpStream::connect(vendor).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut vendor).await;
            });
        }
    });
    address
}

/// A fatal alert `protocol_version`, as a server sends it that knows TLS 1.1 only (RFC 5246 section 7.2).
const TLS_1_1_ALERT: [u8; 7] = [21, 3, 2, 0, 2, 2, 70];

/// A server that answers whatever it reads with these bytes.
async fn answers(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(bytes).await;
            let _ = stream.read(&mut hello).await;
        }
    });
    address
}

/// An address where nothing listens any more.
async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

impl World {
    pub async fn put_authorities(&self, pem: &str) {
        let path = format!(
            "/api/v1/namespaces/{}/configmaps/corp-ca?fieldManager=e2e&force=true",
            self.system
        );
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "corp-ca" }, "data": { "ca.crt": pem },
        });
        let request =
            http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
        let request = request.body(serde_json::to_vec(&map).unwrap()).unwrap();
        let _: Value = self.client.request(request).await.unwrap();
    }
}

#[tokio::test]
async fn the_authorities_of_a_config_map_are_trusted_besides_the_public_ones_and_watched() {
    let mut world = World::start().await;
    let (pem, issuer) = authority();
    let address = front(world.emulator.address(), "127.0.0.1", &issuer, |_| {}).await;
    world.hosts = vec![address.to_string()];
    let _operator = world.start_operator();
    // Without $(tokenUrl), which is not the vendor's own here.
    let keys = json!({ "clientId": "$(clientId)", "clientSecret": "$(clientSecret)" });
    world
        .declare("storefront", json!({ "secret": { "stringData": keys } }))
        .await;
    let base_url = format!("https://{address}/v2");
    world.edit_connection(json!({ "baseUrl": base_url })).await;
    let reported = world.until_connection(Reason::VendorUnavailable).await;
    assert!(
        reported.contains("signed by an unknown authority")
            && reported.contains("spec.caConfigMapRef"),
        "{reported}"
    );

    let missing = json!({ "caConfigMapRef": { "name": "corp-ca" } });
    world.edit_connection(missing).await;
    let reported = world.until_connection(Reason::CaNotFound).await;
    assert!(
        reported.contains("kubectl create configmap corp-ca"),
        "{reported}"
    );
    world.put_authorities("no certificate").await;
    let reported = world.until_connection(Reason::CaInvalid).await;
    assert!(
        reported.contains("spec.caConfigMapRef")
            && reported.contains("corp-ca")
            && reported.contains("PEM"),
        "{reported}"
    );
    world.put_authorities(&pem).await;
    world.until_connection(Reason::Available).await;
    world.until_ready("storefront").await;
    world.check().await;
}

#[tokio::test]
async fn a_tls_fault_is_named_and_no_token_is_sent() {
    let mut world = World::start().await;
    let (pem, issuer) = authority();
    let vendor = world.emulator.address();
    let expired = front(vendor, "127.0.0.1", &issuer, |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    })
    .await;
    let another = front(vendor, "api.example.com", &issuer, |_| {}).await;
    let (_, stranger) = authority();
    let unknown = front(vendor, "127.0.0.1", &stranger, |_| {}).await;
    let old = answers(&TLS_1_1_ALERT).await;
    let (plain, nowhere) = (vendor, unused_address().await);
    let faults = [
        (expired, "expired on 2020-01-01"),
        (another, "for another host (api.example.com)"),
        (unknown, "signed by an unknown authority"),
        (old, "neither TLS 1.2 nor TLS 1.3"),
        (plain, "may serve plain HTTP"),
        (nowhere, "nothing listens on that port"),
    ];
    world.hosts = faults.map(|(address, _)| address.to_string()).to_vec();
    world.put_authorities(&pem).await;
    world.declare("storefront", json!({})).await;
    let spec = |address| json!({ "baseUrl": format!("https://{address}/v2"), "caConfigMapRef": { "name": "corp-ca" } });
    world.edit_connection(spec(faults[0].0)).await;
    let _operator = world.start_operator();
    for (address, cause) in faults {
        world.edit_connection(spec(address)).await;
        world
            .until_connection_says(Reason::VendorUnavailable, cause)
            .await;
        world
            .until_reason("storefront", Reason::VendorUnavailable)
            .await;
        assert_eq!(world.emulator.calls(), [], "{cause}");
    }
    world.check().await;
}
