//! What the host tells of files.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::wire;

/// What `stat` says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Inode number: the same path with another one is another file.
    pub inode: u64,
    /// Last change of the contents, nanoseconds since 1970.
    pub modified_ns: i64,
}

impl FileStat {
    /// Last change of the contents.
    pub fn modified(&self) -> SystemTime {
        at(self.modified_ns)
    }
}

/// One entry of a directory; `.` and `..` are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, bytes that are no UTF-8 replaced.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Last change of the contents.
    pub modified: SystemTime,
}

impl From<wire::DirEntry> for DirEntry {
    fn from(raw: wire::DirEntry) -> Self {
        Self { name: raw.name, size: raw.stat.size, is_dir: raw.stat.is_dir, modified: raw.stat.modified() }
    }
}

/// The time that is so many nanoseconds after (or before) 1970.
pub(crate) fn at(unix_ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(unix_ns.unsigned_abs());
    match unix_ns {
        0.. => SystemTime::UNIX_EPOCH + distance,
        _ => SystemTime::UNIX_EPOCH - distance,
    }
}
