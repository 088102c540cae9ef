//! Which hosts a connection may name: those of the operator's allow lists, and private addresses only if the list of
//! internal hosts has them.

use std::net::IpAddr;

use crate::config::Config;
use crate::vendor::addresses::is_public;

/// The host that a URL names, as the allow list writes it: `host`, `host:port`, and `http://` before it for plain HTTP.
/// `None` for a URL that cannot be used: not http or https, with credentials, a query or a fragment in it.
#[must_use]
fn listed_host(base_url: &str) -> Option<String> {
    let url = url::Url::parse(base_url).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().filter(|_| bare)?;
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    match url.scheme() {
        "https" => Some(format!("{host}{port}")),
        "http" => Some(format!("http://{host}{port}")),
        _ => None,
    }
}

/// Whether the host may be an internal address, or why it may not be called at all.
pub(super) fn host(base_url: &str, config: &Config) -> Result<bool, String> {
    let Some(host) = listed_host(base_url) else {
        return Err(
            "spec.baseUrl: must be a plain https URL, without credentials or query".to_owned(),
        );
    };
    let lists = |list: &[String]| {
        list.iter()
            .any(|allowed| allowed.trim_end_matches('/') == host)
    };
    if lists(&config.internal_hosts) {
        return Ok(true);
    }
    // The resolver checks what a name resolves to; an address in the URL never gets there.
    let private = address(base_url).is_some_and(|address| !is_public(address));
    let internal = format!("--allowed-internal-host {host} (chart value allowedInternalHosts)");
    if private {
        return Err(format!(
            "spec.baseUrl: {host} is not a public address. If the operator may call it, start it with {internal}"
        ));
    }
    if lists(&config.allowed_hosts) {
        return Ok(false);
    }
    let public = format!("--allowed-host {host} (chart value allowedHosts)");
    Err(if is_internal_name(base_url) {
        format!("spec.baseUrl: the operator may not call {host}. Start it with {internal}")
    } else if address(base_url).is_some() {
        format!("spec.baseUrl: the operator may not call {host}. Start it with {public}")
    } else {
        format!(
            "spec.baseUrl: the operator may not call {host}. Start it with {public}, or with {internal} if the name \
             resolves to a private address"
        )
    })
}

fn address(base_url: &str) -> Option<IpAddr> {
    match url::Url::parse(base_url).ok()?.host()? {
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
        url::Host::Domain(_) => None,
    }
}

// Names that no public DNS has: Services of the cluster, this machine, and RFC 6762 and 9476's local ones.
fn is_internal_name(base_url: &str) -> bool {
    let Ok(url) = url::Url::parse(base_url) else {
        return false;
    };
    let Some(url::Host::Domain(name)) = url.host() else {
        return false;
    };
    let name = name.trim_end_matches('.');
    !name.contains('.')
        || [
            "svc",
            "local",
            "internal",
            "localhost",
            "localdomain",
            "lan",
        ]
        .contains(&name.rsplit('.').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{host, listed_host};
    use crate::config::Config;

    #[test]
    fn the_allow_list_names_hosts_and_plain_http_must_be_named_as_such() {
        for (url, host) in [
            ("https://api.provident.ae/v2", Some("api.provident.ae")),
            (
                "https://API.provident.ae:8443",
                Some("api.provident.ae:8443"),
            ),
            ("http://127.0.0.1:9/v2", Some("http://127.0.0.1:9")),
            // Other ways to write an address are no ways around the list.
            ("http://2130706433:9/v2", Some("http://127.0.0.1:9")),
            ("https://0x7f.1/v2", Some("127.0.0.1")),
            ("https://[::ffff:7f00:1]/v2", Some("[::ffff:7f00:1]")),
            ("https://api.provident.ae@evil.example/v2", None),
            ("https://api.provident.ae/v2?x=1", None),
            ("ftp://api.provident.ae", None),
            ("api.provident.ae", None),
        ] {
            assert_eq!(listed_host(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_checked_as_a_resolved_one_is() {
        let config = Config {
            allowed_hosts: [
                "http://127.0.0.1:8090",
                "169.254.169.254",
                "10.0.0.1",
                "[::1]",
                "[fd00:ec2::254]",
                "[::ffff:a00:1]",
                "8.8.8.8",
                "[2a00:1450:4001:81b::200e]",
                "api.example.com",
            ]
            .map(str::to_owned)
            .to_vec(),
            internal_hosts: vec!["10.1.1.1:8443".to_owned(), "gw.corp.example".to_owned()],
            ..Config::default()
        };
        for public in [
            "https://8.8.8.8/v2",
            "https://[2a00:1450:4001:81b::200e]/v2",
            "https://api.example.com/v2",
        ] {
            assert_eq!(host(public, &config), Ok(false), "{public}");
        }
        for internal in ["https://10.1.1.1:8443/v2", "https://gw.corp.example/v2"] {
            assert_eq!(host(internal, &config), Ok(true), "{internal}");
        }
        for private in [
            "http://127.0.0.1:8090/v2",
            "http://2130706433:8090/v2",
            "https://169.254.169.254/v2",
            "https://0xa9fea9fe/v2",
            "https://10.0.0.1/v2",
            "https://[::1]/v2",
            "https://[fd00:ec2::254]/v2",
            "https://[::ffff:10.0.0.1]/v2",
        ] {
            let message = host(private, &config).unwrap_err();
            assert!(
                message.contains("--allowed-internal-host")
                    && message.contains("allowedInternalHosts"),
                "{private}: {message}"
            );
            assert!(!message.contains("--allowed-host "), "{private}: {message}");
        }
    }

    #[test]
    fn the_message_for_a_host_that_is_not_listed_names_the_flag() {
        let config = Config::default();
        for (url, flags) in [
            ("https://gateway.tools.svc/v2", [false, true]),
            (
                "http://gateway.tools.svc.cluster.local:81/v2",
                [false, true],
            ),
            ("http://localhost:8090/v2", [false, true]),
            ("https://gateway/v2", [false, true]),
            ("https://gw.internal/v2", [false, true]),
            ("https://192.168.0.9/v2", [false, true]),
            ("https://8.8.8.8/v2", [true, false]),
            ("https://api.example.com/v2", [true, true]),
        ] {
            let message = host(url, &config).unwrap_err();
            let named =
                ["--allowed-host ", "--allowed-internal-host "].map(|flag| message.contains(flag));
            assert_eq!(named, flags, "{url}: {message}");
        }
    }
}
