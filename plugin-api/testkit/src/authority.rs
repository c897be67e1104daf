//! Certificates made for a test: of an authority that can be trusted, good or bad in one way each.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use crate::server::StoryError;

/// A certificate authority of its own; its file is gone when it is dropped.
pub struct Authority {
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

/// What a scripted server shows in a handshake.
#[derive(Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.clone())
    }
}

impl Authority {
    /// Makes an authority, under a name that no other has.
    pub fn new() -> Result<Self, StoryError> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self::named(format!("test authority {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Makes an authority of the same name with another key.
    pub fn renewed(&self) -> Result<Self, StoryError> {
        Self::named(self.name.clone())
    }

    fn named(name: String) -> Result<Self, StoryError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(certificate)?).map_err(certificate)?;
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), issuer.pem())?;
        Ok(Self { name, issuer, file })
    }

    /// Its PEM file, to be trusted.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// A server with a good certificate for these names, host names or addresses.
    pub fn server(&self, names: &[&str]) -> Result<ServerTls, StoryError> {
        self.signed(&params(names)?)
    }

    /// A server whose certificate ended with the year 2020.
    pub fn expired(&self, names: &[&str]) -> Result<ServerTls, StoryError> {
        let mut params = params(names)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        self.signed(&params)
    }

    /// A server whose certificate is good from the year 3000 on.
    pub fn not_yet(&self, names: &[&str]) -> Result<ServerTls, StoryError> {
        let mut params = params(names)?;
        params.not_before = date_time_ymd(3000, 1, 1);
        params.not_after = date_time_ymd(3001, 1, 1);
        self.signed(&params)
    }

    fn signed(&self, params: &CertificateParams) -> Result<ServerTls, StoryError> {
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(certificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![signed.der().clone()], key))
            .map_err(certificate)?;
        Ok(ServerTls(Arc::new(config)))
    }
}

fn params(names: &[&str]) -> Result<CertificateParams, StoryError> {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).map_err(certificate)?;
    params.distinguished_name.push(DnType::CommonName, "test server");
    Ok(params)
}

fn certificate(error: impl std::error::Error + Send + Sync + 'static) -> StoryError {
    StoryError::Certificate(Box::new(error))
}
