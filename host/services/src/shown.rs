//! What a server showed in a handshake that failed: which of its certificates is to be mended, and what mends it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use watchpost_plugin_api::{CertificateDetails, CertificateFault, Tls};

use crate::{
    certificate::{details, is_self_issued},
    refusal::fault,
};

/// Characters of a name in a certificate that are told, at most.
const NAME_CHARS_MAX: usize = 120;

/// The chain that a server showed, its own certificate first; empty until it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown(Arc<Mutex<Vec<Vec<u8>>>>);

/// Verifies as the verifier within it does, and keeps what was shown.
#[derive(Debug)]
pub(crate) struct Noting {
    pub(crate) trusted: Arc<WebPkiServerVerifier>,
    pub(crate) shown: Shown,
}

impl Shown {
    /// Says which certificate a fault is of, and what mends it; nothing where the fault is none of a certificate, or says it all itself.
    pub(crate) fn told(&self, error: &Error, wanted: &Tls) -> Option<String> {
        let Error::InvalidCertificate(_) = error else { return None };
        let chain = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (own, read) = (chain.first()?, chain.iter().map(|der| details(der)).collect::<Vec<_>>());
        let first = read.first()?.as_ref();
        let is_own = |how: &str| Some(format!("the certificate is that of {}{how}", whose(first?)));
        match fault(error) {
            CertificateFault::Expired | CertificateFault::NotYetValid => {
                let now = SystemTime::now();
                let is_off = |one: &CertificateDetails| one.not_after < now || one.not_before > now;
                match read.iter().position(|one| one.as_ref().is_some_and(is_off)) {
                    Some(0) | None => is_own(": it has to be renewed there"),
                    Some(place) => {
                        let authority = cut(&read.get(place)?.as_ref()?.subject);
                        Some(format!(
                            "it is that of the authority {authority}, which the server shows after its own: both have to be renewed there"
                        ))
                    }
                }
            }
            CertificateFault::UnknownIssuer if is_self_issued(own) => {
                is_own(", signed by itself: one is needed that an authority has signed")
            }
            CertificateFault::UnknownIssuer | CertificateFault::BadSignature => {
                let mend = if wanted.ca_file.is_some() { ": that authority's certificate belongs into the file" } else { "" };
                is_own(&format!(", signed by {}{mend}", cut(&first?.issuer)))
            }
            CertificateFault::WrongName => None,
            _ => is_own(""),
        }
    }

    fn keep(&self, own: &CertificateDer<'_>, further: &[CertificateDer<'_>]) {
        let chain = std::iter::once(own).chain(further).map(|der| der.to_vec()).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }
}

/// Whose a certificate is: its first name, and what it calls itself.
pub(crate) fn whose(read: &CertificateDetails) -> String {
    let name = read.dns_names.first().cloned().or_else(|| read.addresses.first().map(ToString::to_string));
    match (name, read.subject.as_str()) {
        (Some(name), "") => cut(&name),
        (Some(name), subject) => format!("{} ({})", cut(&name), cut(subject)),
        (None, "") => "nobody".to_owned(),
        (None, subject) => cut(subject),
    }
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.shown.keep(end_entity, intermediates);
        self.trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trusted.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trusted.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_certificate_is_is_told_by_its_first_name_and_without_end_never() {
        let read = |dns: &[&str], subject: &str| CertificateDetails {
            subject: subject.to_owned(),
            issuer: String::new(),
            serial: String::new(),
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH,
            dns_names: dns.iter().map(|&name| name.to_owned()).collect(),
            addresses: Vec::new(),
            is_authority: false,
            key_algorithm: String::new(),
            key_bits: None,
            signature_algorithm: String::new(),
        };
        let check = |dns: &[&str], subject: &str, expected: &str| assert_eq!(whose(&read(dns, subject)), expected);
        check(&["mx.lab.test", "mx2.lab.test"], "CN=mx", "mx.lab.test (CN=mx)");
        check(&["mx.lab.test"], "", "mx.lab.test");
        check(&[], "CN=mx, O=Lab", "CN=mx, O=Lab");
        check(&[], "", "nobody");
        let long = "x".repeat(1_000);
        assert_eq!(whose(&read(&[], &long)).chars().count(), NAME_CHARS_MAX + 1);
    }
}
