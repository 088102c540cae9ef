//! The files, ports and flags of each program of the control plane.

use std::{
    fs::OpenOptions,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use serde_json::json;
use tokio::net::TcpSocket;

use super::pki::{Authority, Pair, service_account_keys};
use crate::binaries::Paths;

/// Logs the requests of service accounts, except the control plane's own, and whether they were allowed. A watch is logged when
/// it starts, because it may never end.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - { level: None, userGroups: ["system:serviceaccounts:kube-system"] }
  - { level: Metadata, userGroups: ["system:serviceaccounts"] }
  - { level: None }
"#;
/// The audit log, in the home directory.
pub(super) const AUDIT_LOG: &str = "audit.log";

/// The written files, the reserved ports, and the commands. Paths in flags are relative to the home directory.
#[derive(Debug)]
pub(super) struct Components {
    binaries: Paths,
    /// The kubeconfig of a cluster administrator.
    pub(super) kubeconfig: PathBuf,
    /// The API server's address: the loopback, or one that a node can reach.
    address: Ipv4Addr,
    api: Port,
    etcd_client: Port,
    etcd_peer: Port,
}

/// The other kubeconfigs: file, user, group. All but the first are for a node.
const USERS: [(&str, &str, Option<&str>); 4] = [
    (
        "controller-manager.kubeconfig",
        "system:kube-controller-manager",
        None,
    ),
    ("scheduler.kubeconfig", "system:kube-scheduler", None),
    ("proxy.kubeconfig", "system:kube-proxy", None),
    (
        "kubelet.kubeconfig",
        "system:node:dev",
        Some("system:nodes"),
    ),
];
/// The address of Service `kubernetes`: the first of the range below.
const KUBERNETES_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const SERVICES: &str = "10.96.0.0/16";

impl Components {
    pub(super) fn prepare(home: &Path, binaries: &Paths, address: Ipv4Addr) -> Result<Self> {
        let api = Port::reserve(address)?;
        let [etcd_client, etcd_peer] = [(); 2].map(|()| Port::reserve(Ipv4Addr::LOCALHOST));
        let authority = Authority::new()?;
        let server = authority.server(&[Ipv4Addr::LOCALHOST, address, KUBERNETES_SERVICE])?;
        write(&home.join("ca.crt"), &authority.certificate)?;
        write_pair(home, "api.crt", "api.key", &server)?;
        write_pair(home, "sa.pub", "sa.key", &service_account_keys()?)?;
        write(&home.join("audit-policy.yaml"), AUDIT_POLICY)?;
        let kubeconfig = home.join("kubeconfig");
        let admin = authority.client("admin", Some("system:masters"))?;
        write_pair(home, "admin.crt", "admin.key", &admin)?;
        let url = format!("https://{address}:{}", api.number);
        write(&kubeconfig, &kubeconfig_text(&url, &authority, &admin))?;
        for (file, user, group) in USERS {
            let pair = authority.client(user, group)?;
            write(&home.join(file), &kubeconfig_text(&url, &authority, &pair))?;
        }
        Ok(Self {
            binaries: binaries.clone(),
            kubeconfig,
            address,
            api,
            etcd_client: etcd_client?,
            etcd_peer: etcd_peer?,
        })
    }

    pub(super) fn etcd(&self) -> Command {
        let client = format!("http://127.0.0.1:{}", self.etcd_client.number);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer.number);
        let mut command = self.command("etcd");
        command.args([
            "--data-dir",
            "etcd",
            "--log-level",
            "warn",
            "--socket-reuse-port",
            "--unsafe-no-fsync",
        ]);
        command.args([
            "--listen-client-urls",
            &client,
            "--advertise-client-urls",
            &client,
        ]);
        command.args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        command
    }

    pub(super) fn api_server(&self) -> Command {
        let mut command = self.command("kube-apiserver");
        command.args([
            "--etcd-servers",
            &format!("http://127.0.0.1:{}", self.etcd_client.number),
        ]);
        let address = self.address.to_string();
        command.args([
            "--bind-address",
            &address,
            "--secure-port",
            &self.api.number.to_string(),
            "--permit-port-sharing",
            "--service-cluster-ip-range",
            SERVICES,
        ]);
        // A loopback address cannot be advertised as an endpoint.
        if self.address.is_loopback() {
            command.args(["--endpoint-reconciler-type", "none"]);
        } else {
            command.args(["--advertise-address", &address]);
        }
        command.args([
            "--kubelet-client-certificate",
            "admin.crt",
            "--kubelet-client-key",
            "admin.key",
            "--kubelet-preferred-address-types",
            "InternalIP",
        ]);
        command.args([
            "--tls-cert-file",
            "api.crt",
            "--tls-private-key-file",
            "api.key",
            "--client-ca-file",
            "ca.crt",
        ]);
        command.args(["--authorization-mode", "Node,RBAC", "--allow-privileged"]);
        command.args(["--service-account-issuer", "https://kubernetes.default.svc"]);
        command.args([
            "--service-account-key-file",
            "sa.pub",
            "--service-account-signing-key-file",
            "sa.key",
        ]);
        // The maximum in MiB is so large that the log is not rotated: readers remember their offset.
        command.args(["--audit-policy-file", "audit-policy.yaml"]);
        command.args(["--audit-log-path", AUDIT_LOG, "--audit-log-maxsize", "4096"]);
        command
    }

    pub(super) fn controller_manager(&self) -> Command {
        let mut command = self.command("kube-controller-manager");
        // Its fixed port would collide with a second control plane. As the only instance, it needs no leader election.
        command.args([
            "--kubeconfig",
            "controller-manager.kubeconfig",
            "--secure-port",
            "0",
            "--leader-elect=false",
        ]);
        command.args([
            "--use-service-account-credentials",
            "--service-account-private-key-file",
            "sa.key",
            "--root-ca-file",
            "ca.crt",
        ]);
        command
    }

    fn command(&self, name: &str) -> Command {
        Command::new(
            self.binaries
                .get(name)
                .map_or_else(|| name.into(), |path| path.as_os_str().to_owned()),
        )
    }
}

/// A reserved port: bound but not listening, and shared with the program that gets its number. A port that is only looked up
/// could be taken before the program uses it.
#[derive(Debug)]
struct Port {
    number: u16,
    _reservation: TcpSocket,
}

impl Port {
    fn reserve(address: Ipv4Addr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket
            .bind(SocketAddr::from((address, 0)))
            .context("find a free port")?;
        Ok(Self {
            number: socket.local_addr()?.port(),
            _reservation: socket,
        })
    }
}

/// A kubeconfig in JSON, which is also YAML. Everything is inline, so that the file can be copied.
fn kubeconfig_text(url: &str, authority: &Authority, user: &Pair) -> String {
    let base64 = |pem: &str| ByteString(pem.as_bytes().to_vec());
    let cluster = json!({
        "server": url,
        "certificate-authority-data": base64(&authority.certificate),
    });
    let user = json!({
        "client-certificate-data": base64(&user.public),
        "client-key-data": base64(&user.private),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "provident-dev", "cluster": cluster }],
        "users": [{ "name": "admin", "user": user }],
        "contexts": [{ "name": "provident-dev", "context": { "cluster": "provident-dev", "user": "admin" } }],
        "current-context": "provident-dev",
    });
    format!("{config:#}\n")
}

fn write_pair(home: &Path, public: &str, private: &str, pair: &Pair) -> Result<()> {
    write(&home.join(public), &pair.public)?;
    write(&home.join(private), &pair.private)
}

/// Writes a file that only this user can read, because most of these files are credentials.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("write {}", path.display()))
}
