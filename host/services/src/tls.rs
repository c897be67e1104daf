//! TLS for agents: verified, or inspected whatever the certificate is worth. No session is resumed: each run times a whole handshake.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use rustls::{
    ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};
use watchpost_plugin_api::{AgentError, Tls, TlsFacts, TlsVerdict};

use crate::{
    certificate::told,
    inspect::{Inspector, Verdict},
    refusal::{refused, rustls_error},
    shown::{Noting, Shown},
};

/// How long the system's authorities are believed unchanged.
const SYSTEM_ROOTS_FOR: Duration = Duration::from_secs(3600);

/// Makes TLS clients; authorities are read once per file and change.
pub(crate) struct TlsClients {
    provider: Arc<CryptoProvider>,
    system: Mutex<Option<(Instant, Arc<RootCertStore>)>>,
    files: Mutex<HashMap<PathBuf, (SystemTime, Arc<RootCertStore>)>>,
}

impl Default for TlsClients {
    fn default() -> Self {
        Self { provider: Arc::new(ring::default_provider()), system: Mutex::default(), files: Mutex::default() }
    }
}

impl TlsClients {
    /// Does a handshake over `io`.
    pub(crate) async fn handshake<S>(&self, wanted: &Tls, io: S) -> Result<(TlsStream<S>, TlsFacts), AgentError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.shaken(wanted, io, None).await
    }

    /// The same for somebody who reads why it fails, and has not seen the certificate.
    pub(crate) async fn told_handshake<S>(&self, wanted: &Tls, io: S) -> Result<(TlsStream<S>, TlsFacts), AgentError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.shaken(wanted, io, Some(Shown::default())).await
    }

    async fn shaken<S>(&self, wanted: &Tls, io: S, shown: Option<Shown>) -> Result<(TlsStream<S>, TlsFacts), AgentError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(wanted.server_name.clone())
            .map_err(|_| AgentError::config("server_name", format!("`{}` is no host name and no address", wanted.server_name)))?;
        let verdict = Verdict::default();
        let config = self.config(wanted, &verdict, shown.clone())?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, io).await.map_err(|error| {
            let why = refused(&error, wanted);
            let which = shown.zip(rustls_error(&error)).and_then(|(shown, error)| shown.told(error, wanted));
            which.map_or_else(|| why.clone(), |which| AgentError::tls(format!("{}; {which}", why.message())))
        })?;
        let facts = facts(&stream, verdict.get());
        Ok((stream, facts))
    }

    fn config(&self, wanted: &Tls, verdict: &Verdict, shown: Option<Shown>) -> Result<ClientConfig, AgentError> {
        let roots = self.roots(wanted.ca_file.as_deref())?;
        let trusted = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone()).build();
        let trusted = trusted.map_err(|error| AgentError::local(format!("no authority to trust: {error}")))?;
        let verifier: Arc<dyn ServerCertVerifier> = match (wanted.inspect, shown) {
            (true, _) => Arc::new(Inspector { trusted, wanted: wanted.clone(), verdict: verdict.clone() }),
            (false, Some(shown)) => Arc::new(Noting { trusted, shown }),
            (false, None) => trusted,
        };
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&versions(wanted)?)
            .map_err(|error| AgentError::local(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &wanted.client_cert {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let (chain, key) = own_certificate(path)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| AgentError::local(format!("cannot use {}: {error}", path.display())))?
            }
        };
        config.resumption = Resumption::disabled();
        config.alpn_protocols = wanted.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
        Ok(config)
    }

    pub(crate) fn roots(&self, ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, AgentError> {
        ca_file.map_or_else(|| self.system_roots(), |path| self.roots_of(path))
    }

    fn system_roots(&self) -> Result<Arc<RootCertStore>, AgentError> {
        let mut kept = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, roots)) = &*kept
            && read.elapsed() < SYSTEM_ROOTS_FOR
        {
            return Ok(roots.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(AgentError::local("this system has no certificate authorities (package ca-certificates); name one with ca_file"));
        }
        let roots = Arc::new(roots);
        *kept = Some((Instant::now(), roots.clone()));
        Ok(roots)
    }

    fn roots_of(&self, path: &Path) -> Result<Arc<RootCertStore>, AgentError> {
        let unreadable = |why: String| AgentError::local(format!("cannot read authorities {}: {why}", path.display()));
        let changed = fs::metadata(path).and_then(|stat| stat.modified()).map_err(|error| unreadable(crate::stream::reason(&error)))?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, roots)) = files.get(path)
            && *read == changed
        {
            return Ok(roots.clone());
        }
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
            roots.add(certificate.map_err(|error| unreadable(error.to_string()))?).map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("it has no PEM certificate in it".into()));
        }
        let roots = Arc::new(roots);
        files.insert(path.to_owned(), (changed, roots.clone()));
        Ok(roots)
    }
}

/// The versions to offer.
fn versions(wanted: &Tls) -> Result<Vec<&'static SupportedProtocolVersion>, AgentError> {
    if wanted.versions.is_empty() {
        return Ok(ALL_VERSIONS.to_vec());
    }
    let known = |name: &String| match name.as_str() {
        "TLSv1.2" => Ok(&TLS12),
        "TLSv1.3" => Ok(&TLS13),
        other => Err(AgentError::config("versions", format!("`{other}` is no version of TLS that can be offered"))),
    };
    wanted.versions.iter().map(known).collect()
}

fn own_certificate(path: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AgentError> {
    let unreadable =
        |error: rustls_pki_types::pem::Error| AgentError::local(format!("cannot read certificate {}: {error}", path.display()));
    let chain = CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(unreadable)?;
    Ok((chain, PrivateKeyDer::from_pem_file(path).map_err(unreadable)?))
}

fn facts<S>(stream: &TlsStream<S>, verdict: TlsVerdict) -> TlsFacts {
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown").replace("TLSv1_", "TLSv1.");
    TlsFacts {
        version,
        cipher: session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown").replace("TLS13_", "TLS_"),
        alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
        chain: session.peer_certificates().unwrap_or_default().iter().map(|der| told(der)).collect(),
        verdict,
    }
}
