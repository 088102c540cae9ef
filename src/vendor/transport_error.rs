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
        // An io::Error that wraps another error names that error's source as its own.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(text) = wrapped.and_then(|error| known(error)) {
            return text;
        }
        cause = error.source();
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
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by an unknown authority. Put that authority's certificate into the \
             ConfigMap of spec.caConfigMapRef"
                .to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", date(not_after))
        }
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the server's certificate is not valid before {}",
                date(not_before)
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

fn date(time: &UnixTime) -> String {
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
    use super::*;

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
