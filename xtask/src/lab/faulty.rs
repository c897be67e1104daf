//! Doors that are wrong on purpose: real servers serve their usual ports once more, at addresses of
//! loopback of their own, each address with a certificate that must be refused.

use super::Lab;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// An address where everything is right but one thing.
pub(crate) struct Faulty {
    /// Its name in `lab env` and `lab.json`.
    pub(crate) name: &'static str,
    /// Any address of 127.0.0.0/8 is loopback on Linux, with nothing to set up.
    pub(crate) address: Ipv4Addr,
    /// The certificate presented there, by its file below `ca/`.
    certificate: &'static str,
    /// What is wrong, in a few words.
    pub(crate) word: &'static str,
}

/// All faulty addresses.
pub(crate) const FAULTY: [Faulty; 3] = [
    Faulty::new("expired", 11, "expired", "certificate expired"),
    Faulty::new("wrong_name", 12, "wrong-name", "certificate for another name"),
    Faulty::new("unknown_ca", 13, "unknown-ca", "certificate from an unknown authority"),
];

impl Faulty {
    const fn new(name: &'static str, last: u8, certificate: &'static str, word: &'static str) -> Self {
        Self { name, address: Ipv4Addr::new(127, 0, 0, last), certificate, word }
    }

    /// Gives the chain presented there.
    pub(crate) fn certificate(&self, lab: &Lab) -> PathBuf {
        lab.dir.join("ca").join(format!("{}.pem", self.certificate))
    }

    /// Gives the key of [`Faulty::certificate`].
    pub(crate) fn key(&self, lab: &Lab) -> PathBuf {
        lab.dir.join("ca").join(format!("{}.key", self.certificate))
    }
}
