//! Names to addresses and records.

use serde::{Deserialize, Serialize};

/// Which record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Addresses of both families, in the order this machine prefers them.
    Any,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Resolver {
    /// As every program of this machine does: hosts file, resolv.conf, nsswitch.
    #[default]
    System,
}
