//! The certificates and keys of one control plane, which are generated for each and deleted with it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// A certificate or public key with its private key, both PEM.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) public: String,
    pub(super) private: String,
}

/// A certificate authority that signs what a control plane needs.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(super) certificate: String,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = named("provident-harness-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// The API server's certificate, valid for its address, the loopback, and the Service through which pods reach it.
    pub(super) fn server(&self, addresses: &[Ipv4Addr]) -> Result<Pair> {
        let mut params = named("kube-apiserver", None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::DnsName("kubernetes.default.svc".try_into()?),
        ];
        let addresses = addresses.iter().map(|a| SanType::IpAddress(IpAddr::V4(*a)));
        params.subject_alt_names.extend(addresses);
        self.sign(&params)
    }

    /// A client certificate. Kubernetes reads the user from the common name and the group from the organization
    /// (documentation, "Authenticating", X.509 client certificates).
    pub(super) fn client(&self, user: &str, group: Option<&str>) -> Result<Pair> {
        let mut params = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            public: certificate.pem(),
            private: key.serialize_pem(),
        })
    }
}

/// The ECDSA key pair that signs and verifies service account tokens.
pub(super) fn service_account_keys() -> Result<Pair> {
    let key = KeyPair::generate()?;
    Ok(Pair {
        public: key.public_key_pem(),
        private: key.serialize_pem(),
    })
}

fn named(common_name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params
}
