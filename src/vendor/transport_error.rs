//! Why there was no response, in the operator's own words: those of the libraries may quote what was sent, and a
//! certificate's names are the other side's to choose.

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::addresses::ResolveError;

/// The most names of a certificate that are shown, and the most characters of each.
const MOST_NAMES: usize = 3;
const LONGEST_NAME: usize = 64;

/// The cause of a request that got no response.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(text) = known(error) {
            return text;
        }
        // An io::Error that wraps another error names that error's source as its own, so a look at sources alone would
        // miss what is wrapped; and the TLS layers wrap twice.
        cause = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|wrapped| wrapped as &(dyn Error + 'static))
            .or_else(|| error.source());
    }
    let text = if error.is_timeout() {
        "no response in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection failed"
    };
    text.to_owned()
}

fn known(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<ResolveError>() {
        return Some(match error {
            ResolveError::Internal => error.to_string(),
            ResolveError::Unknown(_) => "the host name cannot be resolved".to_owned(),
        });
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error));
    }
    let error = error.downcast_ref::<io::Error>()?;
    (error.kind() == io::ErrorKind::ConnectionRefused)
        .then(|| "the connection was refused (nothing listens on that port)".to_owned())
}

fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        // What is no TLS record at all is most often plain HTTP.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS on this port (it may serve plain HTTP)".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            rustls::PeerIncompatible::Tls12NotOffered
            | rustls::PeerIncompatible::Tls12NotOfferedOrEnabled
            | rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13
            | rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server supports neither TLS 1.2 nor TLS 1.3".to_owned(),
        rustls::Error::AlertReceived(alert) => {
            format!(
                "the server ended the TLS handshake (alert {})",
                u8::from(*alert)
            )
        }
        _ => "the TLS handshake failed".to_owned(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        // A bad signature is that of another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by an unknown authority. Put that authority's certificate into the \
             ConfigMap of spec.caConfigMapRef"
                .to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", date(*not_after))
        }
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the server's certificate is not valid before {}",
                date(*not_before)
            )
        }
        CertificateError::NotValidYet => "the server's certificate is not valid yet".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!(
                "the server's certificate is for another host ({})",
                names(presented)
            )
        }
        CertificateError::NotValidForName => {
            "the server's certificate is for another host".to_owned()
        }
        CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
        CertificateError::BadEncoding => {
            "the server's certificate cannot be read (bad encoding)".to_owned()
        }
        _ => "the server's certificate is not accepted".to_owned(),
    }
}

fn date(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unknown date".to_owned(), |time| time.to_string())
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "it names no host".to_owned();
    }
    let mut shown: Vec<String> = presented
        .iter()
        .take(MOST_NAMES)
        .map(|name| {
            // As rustls gives it: DnsName("example.com") or IpAddress(127.0.0.1).
            let name = name
                .split_once('(')
                .and_then(|(_, rest)| rest.strip_suffix(')'))
                .unwrap_or(name)
                .trim_matches('"');
            let plain = name.chars().map(|c| {
                let plain = c.is_ascii_alphanumeric() || ".-_*:".contains(c);
                if plain { c } else { '?' }
            });
            plain.take(LONGEST_NAME).collect()
        })
        .collect();
    if presented.len() > MOST_NAMES {
        shown.push(format!("{} more", presented.len() - MOST_NAMES));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::http::{NetworkPolicy, client};
    use super::*;

    type Authority = (String, Issuer<'static, KeyPair>);

    fn authority() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        (certificate, Issuer::new(params, key))
    }

    async fn tls_server(
        issuer: &Issuer<'static, KeyPair>,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, issuer).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = acceptor.accept(stream).await;
            }
        });
        address
    }

    /// A server that answers whatever it reads with these bytes.
    async fn plain_server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer).await;
                let _ = stream.read(&mut [0; 4096]).await;
            }
        });
        address
    }

    async fn fault(address: SocketAddr, authorities: &str) -> String {
        let network = NetworkPolicy {
            authorities: Some(authorities.to_owned()),
            internal: true,
            proxy: false,
        };
        let http = client(&network).unwrap();
        let sent = http.get(format!("https://{address}/")).send().await;
        describe(&sent.unwrap_err())
    }

    #[tokio::test]
    async fn each_tls_fault_names_its_cause() {
        let (pem, issuer) = authority();
        let (_, stranger) = authority();
        let here = ["127.0.0.1"];
        let expired = tls_server(&issuer, &here, |params| {
            params.not_after = date_time_ymd(2020, 1, 1);
        })
        .await;
        let early = tls_server(&issuer, &here, |params| {
            params.not_before = date_time_ymd(2999, 1, 1);
        })
        .await;
        let names = ["api.example.com", "*.example.org", "10.0.0.1"];
        let another = tls_server(&issuer, &names, |_| {}).await;
        let unknown = tls_server(&stranger, &here, |_| {}).await;
        // A fatal alert protocol_version, as a server sends it that knows TLS 1.1 only (RFC 5246 section 7.2).
        let old = plain_server(&[21, 3, 2, 0, 2, 2, 70]).await;
        let http = plain_server(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = closed.local_addr().unwrap();
        drop(closed);
        for (address, cause) in [
            (expired, "expired on 2020-01-01T00:00:00Z"),
            (early, "not valid before 2999-01-01"),
            (
                another,
                "another host (api.example.com, *.example.org, 10.0.0.1)",
            ),
            (unknown, "signed by an unknown authority"),
            (old, "neither TLS 1.2 nor TLS 1.3"),
            (http, "may serve plain HTTP"),
            (nobody, "nothing listens on that port"),
        ] {
            let text = fault(address, &pem).await;
            assert!(text.contains(cause), "{cause}: {text}");
        }
    }

    #[test]
    fn a_certificates_names_are_bounded_and_plain() {
        let hostile = format!("DnsName(\"a\u{1b}[31m\u{202e}b\n{}\")", "x".repeat(10_000));
        let presented: Vec<String> = std::iter::once(hostile)
            .chain((0..1000).map(|index| format!("DnsName(\"host-{index}.example.com\")")))
            .collect();
        let text = names(&presented);
        assert!(text.starts_with("a??31m?b?xxx"), "{text}");
        assert!(
            text.ends_with("host-0.example.com, host-1.example.com, 998 more"),
            "{text}"
        );
        assert!(text.is_ascii() && text.len() < 300, "{text}");
    }
}
