//! Certificates that are kept in files: whether they are still worth anything.

use std::{path::Path, time::SystemTime};

use chrono::{DateTime, Utc};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use watchpost_plugin_api::CertificateDetails;

use crate::{certificate::details, shown::whose};

/// What the certificates of a file are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Authorities to trust: one of them that is in force will do.
    Authorities,
    /// Our own, the first of the file, to be shown to a server.
    Own,
}

/// Says that the certificates of a PEM file have expired, and which; nothing of a file that cannot be read.
///
/// Verification itself does not look at the end of an authority: other programs do, and whoever renews it gives it another key.
pub fn expired(file: &Path, kept: Kept, now: SystemTime) -> Option<String> {
    let all = CertificateDer::pem_file_iter(file).ok()?.map(|der| details(&der.ok()?)).collect::<Option<Vec<_>>>()?;
    let meant = match kept {
        Kept::Authorities => all.as_slice(),
        Kept::Own => all.get(..1)?,
    };
    // The one that held longest says since when there is none.
    let last = meant.iter().max_by_key(|read| read.not_after).filter(|last| last.not_after < now)?;
    let which = match meant.len() {
        1 => "the certificate",
        _ => "the last of the certificates",
    };
    Some(format!("{which} in {} expired on {}: {}", file.display(), day(last), whose(last)))
}

fn day(read: &CertificateDetails) -> String {
    DateTime::<Utc>::from(read.not_after).format("%Y-%m-%d").to_string()
}
