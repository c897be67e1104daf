//! Lets a handshake pass whatever the certificate is worth, and notes what it is worth.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use watchpost_plugin_api::{CertificateFault, Tls, TlsVerdict};

use crate::{
    certificate::{details, is_self_issued},
    refusal::{explained, fault},
};

/// The shortest RSA key whose signatures can be checked here, and about the shortest that is worth it. RFC 9325 4.5.
const RSA_BITS_MIN: u32 = 2048;

/// What was found so far of one handshake.
#[derive(Clone, Debug)]
pub(crate) struct Verdict(Arc<Mutex<TlsVerdict>>);

impl Default for Verdict {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(TlsVerdict::Valid)))
    }
}

impl Verdict {
    pub(crate) fn get(&self) -> TlsVerdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a fault, unless one was found before.
    fn note(&self, fault: CertificateFault, reason: String) {
        let mut verdict = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *verdict == TlsVerdict::Valid {
            *verdict = TlsVerdict::Invalid { fault, reason };
        }
    }
}

/// Verifies, and goes on whatever comes of it. That the server holds the certificate's key is checked wherever it can be.
#[derive(Debug)]
pub(crate) struct Inspector {
    pub(crate) trusted: Arc<WebPkiServerVerifier>,
    pub(crate) wanted: Tls,
    pub(crate) verdict: Verdict,
}

impl Inspector {
    /// A signature that is wrong ends the handshake, for then the certificate is somebody else's; one that nobody here can check does not.
    fn signed(&self, checked: Result<HandshakeSignatureValid, Error>, der: &CertificateDer<'_>) -> Result<HandshakeSignatureValid, Error> {
        let Err(error) = checked else { return checked };
        let read = details(der);
        let weak = read.is_some_and(|read| read.key_algorithm == "RSA" && read.key_bits.is_some_and(|bits| bits < RSA_BITS_MIN));
        match error {
            _ if weak => self.verdict.note(CertificateFault::Weak, format!("the certificate's RSA key has less than {RSA_BITS_MIN} bits")),
            Error::InvalidCertificate(CertificateError::BadSignature) => return Err(error),
            // A certificate of the first version, say: its key is not even looked at.
            Error::InvalidCertificate(_) => self.note(&error, der),
            error => return Err(error),
        }
        Ok(HandshakeSignatureValid::assertion())
    }

    fn note(&self, error: &Error, der: &CertificateDer<'_>) {
        let found = fault(error);
        let (found, reason) = match found {
            CertificateFault::UnknownIssuer | CertificateFault::WrongUse if is_self_issued(der) => {
                (CertificateFault::SelfSigned, "the certificate is signed by itself, and not by an authority".into())
            }
            found => (found, explained(error, &self.wanted)),
        };
        self.verdict.note(found, reason);
    }
}

impl ServerCertVerifier for Inspector {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Err(error) = self.trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            self.note(&error, end_entity);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(self.trusted.verify_tls12_signature(message, cert, dss), cert)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(self.trusted.verify_tls13_signature(message, cert, dss), cert)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}
