//! How far one file was read, and how to know that file again.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::FileStat;

/// Bytes before a place by which a file is known again: more than a line of a busy log has in common with the next one.
pub(crate) const TAIL_BYTES: usize = 256;

/// A place in a file. In a compressed file it counts the bytes of its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Bytes that were read, whole lines as a rule.
    pub(crate) offset: u64,
    /// Hash of the (at most 256) bytes before `offset`.
    pub(crate) tail: u64,
    /// Hash of as many bytes at the beginning of the file.
    pub(crate) head: u64,
    /// Whether `offset` is in a line that was given already, cut; the rest of it is passed over.
    #[serde(default)]
    pub(crate) within: bool,
    /// Name in the log's folder, of a rotated file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
}

impl Mark {
    /// The beginning of a file.
    pub(crate) fn start_of(stat: &FileStat) -> Self {
        Self { device: stat.device, inode: stat.inode, offset: 0, tail: hash(&[]), head: hash(&[]), within: false, name: String::new() }
    }

    /// Bytes of the file that were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Says whether a file has this mark's numbers; what it holds is another question.
    pub(crate) fn numbers(&self, stat: &FileStat) -> bool {
        (self.device, self.inode) == (stat.device, stat.inode)
    }

    /// How many bytes before the place are hashed.
    pub(crate) fn tail_bytes(&self) -> usize {
        usize::try_from(self.offset).map_or(TAIL_BYTES, |offset| offset.min(TAIL_BYTES))
    }
}

/// FNV-1a: the same in every build, and no secret depends on it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
