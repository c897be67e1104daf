//! What TLS is asked for, and what came of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Certificate, CertificateFault};

/// What a handshake is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tls {
    /// The name the certificate must carry, also sent as SNI; a DNS name or an IP address.
    pub server_name: String,
    /// PEM file of the authorities to trust; the system's own when absent.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our certificate chain and key, for servers that ask.
    pub client_cert: Option<PathBuf>,
    /// Application protocols offered, best first.
    pub alpn: Vec<String>,
    /// Completes the handshake whatever the certificate is worth, and says what it is worth.
    pub inspect: bool,
    /// Protocol versions offered, as `TLSv1.2`; all that the host has when there are none here. A host older than this offers all.
    pub versions: Vec<String>,
}

impl Tls {
    /// Verifies the server under that name against the system's authorities.
    pub fn verify(server_name: impl Into<String>) -> Self {
        Self { server_name: server_name.into(), ..Self::default() }
    }

    /// Completes the handshake under that name whatever the certificate is worth, and says what it is worth.
    ///
    /// ```
    /// # use watchpost_plugin_api::prelude::*;
    /// # async fn inspect(cx: &Cx, stream: &mut Stream) -> Result<(), AgentError> {
    /// let facts = stream.start_tls(&Tls::inspect("mx.example.org")).await?;
    /// if let Some(details) = facts.chain.first().and_then(|own| own.details.as_ref()) {
    ///     let left = details.not_after.duration_since(cx.now());
    /// }
    /// if let TlsVerdict::Invalid { fault, reason } = &facts.verdict {
    ///     cx.event(Severity::Major, fault.name(), reason);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn inspect(server_name: impl Into<String>) -> Self {
        Self { inspect: true, ..Self::verify(server_name) }
    }

    /// Trusts the authorities of that PEM file instead of the system's.
    pub fn ca_file(mut self, path: Option<impl AsRef<Path>>) -> Self {
        self.ca_file = path.map(|path| path.as_ref().to_owned());
        self
    }

    /// Shows the certificate of that PEM file, chain and key, to a server that asks for one.
    pub fn client_cert(mut self, path: Option<impl AsRef<Path>>) -> Self {
        self.client_cert = path.map(|path| path.as_ref().to_owned());
        self
    }

    /// Offers this version of the protocol only, `TLSv1.2` or `TLSv1.3`; no host has older ones.
    ///
    /// A host that is older than this offers all: what was agreed on is in [`TlsFacts::version`].
    pub fn version(mut self, version: &str) -> Self {
        self.versions = vec![version.to_owned()];
        self
    }

    /// Offers these application protocols, best first.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols.iter().map(|&protocol| protocol.to_owned()).collect();
        self
    }
}

/// What verification says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsVerdict {
    /// Trusted, in time, and of the right name.
    Valid,
    /// Not to be trusted.
    Invalid {
        /// What is wrong, by name.
        fault: CertificateFault,
        /// What is wrong, in words.
        reason: String,
    },
}

/// What a handshake gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// Protocol version, as `TLSv1.3`.
    pub version: String,
    /// Cipher suite, by its IANA name.
    pub cipher: String,
    /// The application protocol agreed on.
    pub alpn: Option<String>,
    /// The chain, the server's own first.
    pub chain: Vec<Certificate>,
    /// What verification says of it; without [`inspect`](Tls::inspect) it is valid, or there is no connection.
    pub verdict: TlsVerdict,
}
