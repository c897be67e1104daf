//! Certificates made for a test: of an authority that can be trusted, good or bad in one way each.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
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

/// What a scripted server shows in a handshake, and what it asks for.
#[derive(Clone)]
pub struct ServerTls {
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    /// Who must have signed a client's certificate; nobody is asked for one when absent.
    asking: Option<CertificateDer<'static>>,
    alpn: Vec<Vec<u8>>,
    older: bool,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { certificate, key: Arc::new(key), asking: None, alpn: Vec::new(), older: false }
    }

    /// Agrees on the first of these application protocols that the client offers; a client that offers none of them is refused.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// Speaks nothing newer than TLS 1.2.
    pub fn older(mut self) -> Self {
        self.older = true;
        self
    }

    /// Wants a certificate of the client's too, signed by that authority.
    pub fn asking(mut self, authority: &Authority) -> Self {
        self.asking = Some(authority.issuer.der().clone());
        self
    }

    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let provider = Arc::new(ring::default_provider());
        let versions = if self.older { &[&TLS12][..] } else { &[&TLS12, &TLS13] };
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).map_err(io::Error::other)?;
        let builder = match &self.asking {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone()).map_err(io::Error::other)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(io::Error::other)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(vec![self.certificate.clone()], self.key.clone_key());
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// A certificate for a client to show, with its key; its file is gone when it is dropped.
pub struct ClientCertificate(NamedTempFile);

impl ClientCertificate {
    /// Its PEM file, chain and key.
    pub fn file(&self) -> &Path {
        self.0.path()
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

    /// A server whose certificate is signed by itself.
    pub fn self_signed(names: &[&str]) -> Result<ServerTls, StoryError> {
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = params(names)?.self_signed(&key).map_err(certificate)?;
        Ok(ServerTls::new(signed.der().clone(), &key))
    }

    /// A certificate for a client of that name.
    pub fn client(&self, name: &str) -> Result<ClientCertificate, StoryError> {
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = params(&[name])?.signed_by(&key, &self.issuer).map_err(certificate)?;
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), format!("{}{}", signed.pem(), key.serialize_pem()))?;
        Ok(ClientCertificate(file))
    }

    fn signed(&self, params: &CertificateParams) -> Result<ServerTls, StoryError> {
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(certificate)?;
        Ok(ServerTls::new(signed.der().clone(), &key))
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
