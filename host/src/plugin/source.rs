//! Where a plugin's code comes from: a file as it was when it was loaded, and the snapshot that was taken of it then.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};
use watchpost_worker::snapshot::Snapshot;

/// Bytes of a library that are digested at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// A library's file and what was made of it.
#[derive(Debug)]
pub(super) struct Source {
    /// The file, as people know it.
    pub(super) path: PathBuf,
    /// The file that was read for it: another one while it is being installed.
    pub(super) file: PathBuf,
    /// What the file was before it was loaded.
    pub(super) stamp: Option<Stamp>,
    /// What every worker of it loads.
    pub(super) snapshot: Snapshot,
    digest: OnceLock<Option<String>>,
}

impl Source {
    /// Takes a file that is to be known as `path`.
    pub(super) fn new(file: &Path, path: &Path) -> io::Result<Self> {
        let snapshot = Snapshot::empty(path)?;
        Ok(Self { path: path.to_owned(), file: file.to_owned(), stamp: Stamp::of(file), snapshot, digest: OnceLock::new() })
    }

    /// SHA-256 of what the workers load, in hex; none before the first did.
    ///
    /// Reads all of it the first time: not for a thread that others wait for, unless seldom.
    pub(super) fn digest(&self) -> Option<&str> {
        if !self.snapshot.is_sealed() {
            return None;
        }
        self.digest.get_or_init(|| digest(self.snapshot.file()).ok()).as_deref()
    }
}

/// SHA-256 of a file, in hex.
pub(super) fn digest(file: &File) -> io::Result<String> {
    let (mut digest, mut chunk, mut at) = (Sha256::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        match file.read_at(&mut chunk, at)? {
            0 => return Ok(hex(&digest.finalize())),
            read => {
                digest.update(&chunk[..read]);
                at += read as u64;
            }
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    /// Who may do what with it and the folders above.
    access: u64,
}

impl Stamp {
    /// Looks at a file.
    pub fn of(path: &Path) -> Option<Self> {
        let facts = std::fs::metadata(path).ok()?;
        let (inode, modified) = ((facts.dev(), facts.ino()), (facts.mtime(), facts.mtime_nsec()));
        Some(Self { inode, bytes: facts.len(), modified, access: access(path) })
    }

    /// Whether it is the same file with the same in it, whoever may do what with it.
    pub fn is_as(&self, other: &Self) -> bool {
        Self { access: other.access, ..*self } == *other
    }
}

/// Owners and modes of a file and all folders above it, as one number.
fn access(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    for above in path.ancestors() {
        std::fs::metadata(above).ok().map(|facts| (facts.mode(), facts.uid(), facts.gid())).hash(&mut hasher);
    }
    hasher.finish()
}
