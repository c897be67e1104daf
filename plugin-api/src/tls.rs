//! What TLS is asked for, and what came of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a handshake is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
}

impl Tls {
    /// Verifies the server under that name against the system's authorities.
    pub fn verify(server_name: impl Into<String>) -> Self {
        Self { server_name: server_name.into(), ..Self::default() }
    }

    /// Trusts the authorities of that PEM file instead of the system's.
    pub fn ca_file(mut self, path: Option<impl AsRef<Path>>) -> Self {
        self.ca_file = path.map(|path| path.as_ref().to_owned());
        self
    }
}

/// What verification says of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsVerdict {
    /// Trusted, in time, and of the right name.
    Valid,
    /// Not to be trusted, and why.
    Invalid(String),
}

/// One certificate of the chain that the server sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate itself, DER in base64.
    pub der: String,
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
    /// What verification says of it.
    pub verdict: TlsVerdict,
}
