//! The certificates of a server, as the host read them, and what is wrong with one.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::files::unix_ns;

/// One certificate of the chain that the server sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate itself, DER in base64.
    pub der: String,
    /// SHA-256 of it, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What stands in it; `None` if it cannot be read.
    pub details: Option<CertificateDetails>,
}

/// What stands in a certificate.
///
/// Names are as RFC 4514 writes them, in the order of the certificate, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDetails {
    /// Whose it is: `C=DE, O=Example, CN=mx.example.org`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The number its issuer gave it, in lower-case hexadecimal digits.
    pub serial: String,
    /// From when on it is valid.
    #[serde(with = "unix_ns")]
    pub not_before: SystemTime,
    /// Until when it is valid. What lies beyond the year 2262 becomes that.
    #[serde(with = "unix_ns")]
    pub not_after: SystemTime,
    /// Host names it is for, patterns (`*.example.org`) as they are.
    pub dns_names: Vec<String>,
    /// Addresses it is for.
    pub addresses: Vec<std::net::IpAddr>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Sort of its key: `RSA`, `EC P-256`, `Ed25519`; a number with dots when it has no name here.
    pub key_algorithm: String,
    /// Size of its key; `None` when it cannot be told.
    pub key_bits: Option<u32>,
    /// How it was signed: `sha256WithRSAEncryption`; a number with dots when it has no name here.
    pub signature_algorithm: String,
}

/// What is wrong with a certificate. Where several things are, the first of: time, use, authority, name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time has passed.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for other names.
    WrongName,
    /// It is signed by itself, and not trusted as it is.
    SelfSigned,
    /// Its authority is not trusted, or a certificate between them was not sent.
    UnknownIssuer,
    /// It, or one above it, was not signed by whom it says.
    BadSignature,
    /// It is that of an authority, or for another use than a server's.
    WrongUse,
    /// Its key is too short, or its signature of a sort that nobody should accept.
    Weak,
    /// It was revoked.
    Revoked,
    /// It cannot be read.
    Malformed,
    /// Something else, which the reason tells; or what a newer host knows.
    #[serde(other)]
    Other,
}

impl CertificateFault {
    /// Names the fault as events and labels do.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongName => "wrong_name",
            Self::SelfSigned => "self_signed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadSignature => "bad_signature",
            Self::WrongUse => "wrong_use",
            Self::Weak => "weak",
            Self::Revoked => "revoked",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_the_same_name_everywhere_and_a_newer_one_is_other() {
        use CertificateFault::*;
        for fault in [Expired, NotYetValid, WrongName, SelfSigned, UnknownIssuer, BadSignature, WrongUse, Weak, Revoked, Malformed, Other] {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.to_string());
        }
        assert_eq!(serde_json::from_str::<CertificateFault>("\"forged\"").unwrap(), Other);
    }
}
