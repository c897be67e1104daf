//! What the host tells of files.

use std::{
    ops::Deref,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `stat` says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Number of the device it is on.
    pub device: u64,
    /// Inode number: the same path with another one is another file, unless the device is another too.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// What sort of file.
    pub kind: FileKind,
    /// Permission bits, those of set-id and the sticky one included: `0o640`.
    pub mode: u32,
    /// Number of the user who owns it.
    pub user: u32,
    /// Number of the group that owns it.
    pub group: u32,
    /// Last change of the contents.
    #[serde(with = "unix_ns")]
    pub modified: SystemTime,
}

impl FileStat {
    /// Says whether both are of one file, whatever its path is called now; one that was removed may have passed its numbers on.
    pub fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Says whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Says whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }
}

/// What sort of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; only entries of a directory are, whatever else follows it.
    Symlink,
    /// A socket.
    Socket,
    /// A named pipe.
    Pipe,
    /// A device, or what a newer host knows.
    #[serde(other)]
    Other,
}

/// One entry of a directory, with what `stat` says of it: a symbolic link is not followed. `.` and `..` are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// The name, bytes that are no UTF-8 replaced.
    pub name: String,
    /// What `stat` says of it; its fields can be read as the entry's own.
    pub stat: FileStat,
}

impl Deref for DirEntry {
    type Target = FileStat;

    fn deref(&self) -> &FileStat {
        &self.stat
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

/// Times as whole nanoseconds since 1970; what lies beyond the years 1677 to 2262 becomes the nearest of them.
pub(crate) mod unix_ns {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let nanos = |distance: Duration| i64::try_from(distance.as_nanos()).unwrap_or(i64::MAX);
        to.serialize_i64(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        i64::deserialize(from).map(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_host_tells_of_a_file_is_read_by_an_older_library() {
        let told = r#"{"device":1,"inode":2,"size":3,"kind":"whiteout","mode":420,"user":5,"group":6,"modified":-1,"born":7}"#;
        let stat: FileStat = serde_json::from_str(told).unwrap();
        assert_eq!((stat.kind, stat.mode, stat.is_file()), (FileKind::Other, 0o644, false));
        assert_eq!(stat.modified, SystemTime::UNIX_EPOCH - Duration::from_nanos(1));
    }

    #[test]
    fn times_cross_to_the_nanosecond_on_both_sides_of_1970() {
        for nanos in [0, 1, -1, 1_700_000_000_123_456_789, -2_000_000_001, i64::MAX, i64::MIN + 1] {
            let stat = FileStat { device: 1, inode: 2, size: 3, kind: FileKind::File, mode: 0, user: 0, group: 0, modified: at(nanos) };
            let crossed: FileStat = serde_json::from_str(&serde_json::to_string(&stat).unwrap()).unwrap();
            assert_eq!(crossed, stat, "{nanos}");
        }
    }
}
