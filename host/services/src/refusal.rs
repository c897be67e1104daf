//! Why a TLS handshake failed, in words for somebody who has to mend it.

use std::io;

use chrono::DateTime;
use rustls::{CertificateError, Error};
use rustls_pki_types::UnixTime;
use watchpost_plugin_api::{AgentError, CertificateFault, Tls};

use crate::stream::reason;

/// Names of a certificate that are listed; some carry hundreds.
const NAMES_MAX: usize = 5;

/// What the verifier below rustls calls a certificate that may sign others.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";
/// What it calls a certificate that is not of the third version.
const OLD_VERSION: &str = "UnsupportedCertVersion";

/// The error of a handshake that broke.
pub(crate) fn refused(error: &io::Error, wanted: &Tls) -> AgentError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return AgentError::tls("the server closed the connection in the middle of the TLS handshake");
    }
    let Some(error) = rustls_error(error) else {
        return AgentError::tls(format!("the TLS handshake broke: {}", reason(error)));
    };
    AgentError::tls(explained(error, wanted))
}

/// What TLS itself says of an error.
pub(crate) fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The error of a session that was open and that TLS itself ended: in its third version a server refuses our certificate only then.
pub(crate) fn broken(error: &io::Error) -> Option<AgentError> {
    Some(match rustls_error(error)? {
        Error::AlertReceived(alert) => AgentError::tls(format!("the server ended the TLS session: {alert:?}")),
        other => AgentError::tls(format!("the TLS session broke: {other}")),
    })
}

/// Why TLS failed, if that is what an error of another client of rustls comes from, in words for somebody who has to mend it.
pub fn tls_reason(error: &(dyn std::error::Error + 'static), wanted: &Tls) -> Option<String> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| {
        let inner = || error.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>();
        error.downcast_ref::<Error>().or_else(inner).map(|error| explained(error, wanted))
    })
}

/// What is wrong, with what would be right where that can be told.
pub(crate) fn explained(error: &Error, wanted: &Tls) -> String {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault, wanted).unwrap_or_else(|| error.to_string()),
        Error::InvalidMessage(_) => "the server does not speak TLS here".into(),
        Error::AlertReceived(alert) => format!("the server refused the TLS handshake: {alert:?}"),
        other => other.to_string(),
    }
}

/// What is wrong with a certificate, by name.
pub(crate) fn fault(error: &Error) -> CertificateFault {
    let Error::InvalidCertificate(fault) = error else { return CertificateFault::Other };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateFault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => CertificateFault::WrongName,
        CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer,
        CertificateError::BadSignature => CertificateFault::BadSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => CertificateFault::WrongUse,
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => CertificateFault::Weak,
        CertificateError::Revoked => CertificateFault::Revoked,
        CertificateError::BadEncoding => CertificateFault::Malformed,
        CertificateError::Other(other) => match other.0.to_string().as_str() {
            CA_AS_SERVER => CertificateFault::WrongUse,
            OLD_VERSION => CertificateFault::Malformed,
            _ => CertificateFault::Other,
        },
        _ => CertificateFault::Other,
    }
}

fn certificate(fault: &CertificateError, wanted: &Tls) -> Option<String> {
    match fault {
        CertificateError::Other(other) if other.0.to_string() == CA_AS_SERVER => {
            Some("the certificate is that of an authority, not of a server".into())
        }
        CertificateError::Other(other) if other.0.to_string() == OLD_VERSION => {
            Some("the certificate is of the first version of its kind, of 1988, which says neither names nor uses".into())
        }
        CertificateError::BadEncoding => Some("the certificate cannot be read".into()),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
            Some(format!("the certificate expired on {}, {days} days ago", date(*not_after)?))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (from, here) = (date(*not_before)?, date(*time)?);
            Some(format!("the certificate is not valid before {from}; this machine's clock says {here}"))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            Some(format!("the certificate is for {}, not for {expected}; server_name sets the name to expect", listed(presented)))
        }
        CertificateError::UnknownIssuer => Some(match &wanted.ca_file {
            Some(path) => format!("the certificate's authority is not in {}", path.display()),
            None => "the certificate's authority is unknown to this system; name its file with ca_file".into(),
        }),
        CertificateError::BadSignature => Some(match &wanted.ca_file {
            // What a renewed authority under its old name looks like.
            Some(path) => format!("the certificate's authority has the name of one in {}, but another key", path.display()),
            None => "the certificate's authority has the name of one this system trusts, but another key".into(),
        }),
        _ => None,
    }
}

/// The day of a time; `None` where the calendar ends.
fn date(time: UnixTime) -> Option<String> {
    let time = DateTime::from_timestamp(i64::try_from(time.as_secs()).ok()?, 0)?;
    Some(time.format("%Y-%m-%d").to_string())
}

/// The names of a certificate as a person writes them: rustls gives `DnsName("mx.example.org")`.
fn listed(presented: &[String]) -> String {
    let name = |presented: &String| {
        let inner = presented.split_once('(').map_or(presented.as_str(), |(_, inner)| inner.trim_end_matches(')'));
        inner.trim_matches('"').escape_default().to_string()
    };
    let mut names: Vec<String> = presented.iter().take(NAMES_MAX).map(name).collect();
    match presented.len().checked_sub(NAMES_MAX) {
        Some(more @ 1..) => names.push(format!("{more} more")),
        _ if names.is_empty() => names.push("no name at all".into()),
        _ => {}
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_person_writes_them_and_not_without_end() {
        let check = |presented: &[&str], expected: &str| {
            assert_eq!(listed(&presented.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()), expected);
        };
        check(&[], "no name at all");
        check(&["DnsName(\"mx.lab.test\")", "IpAddress(127.0.0.1)"], "mx.lab.test, 127.0.0.1");
        check(&["DnsName(\"a\u{1b}[2J\")"], "a\\u{1b}[2J");
        check(&["a"; 7], "a, a, a, a, a, 2 more");
    }

    #[test]
    fn a_time_beyond_the_calendar_has_no_day() {
        let check = |secs, expected: Option<&str>| {
            assert_eq!(date(UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs))).as_deref(), expected, "{secs}");
        };
        check(0, Some("1970-01-01"));
        check(1_609_372_799, Some("2020-12-30"));
        check(1_609_372_800, Some("2020-12-31"));
        check(u64::MAX / 2, None);
        check(u64::MAX, None);
    }
}
