//! Who writes and reads series files.

use std::io;
use std::path::{Path, PathBuf};

use super::archive::Consolidation;
use super::header::{Header, HeaderError};
use super::row::Row;
use super::shape::FileShape;

/// Writes and reads series files. There is one owner of files in a process: librrd's lock is per process, so that two owners
/// would corrupt a file silently.
pub trait SeriesWriter: Send + Sync {
    /// Creates an empty file whose first row comes after `start`; an existing file is an error.
    fn create(&self, path: &Path, shape: &FileShape, start: i64) -> Result<(), WriteError>;

    /// Appends rows by rising stamp; those that the file already has are skipped.
    fn append(&self, path: &Path, rows: &[Row]) -> Result<(), WriteError>;

    /// Reads rows of one archive, after `from` and up to `to` (and those around that share a row of the archive).
    fn fetch(&self, path: &Path, wanted: &Wanted) -> Result<Fetched, WriteError>;

    /// Reads shape and last row; nothing if there is no file.
    fn info(&self, path: &Path) -> Result<Option<Header>, WriteError>;

    /// Reads the stamp of the last row; nothing if there is no file.
    fn last(&self, path: &Path) -> Result<Option<i64>, WriteError> {
        Ok(self.info(path)?.map(|header| header.last.stamp))
    }
}

/// What to read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which archives come into question.
    pub consolidation: Consolidation,
    /// Rows after this instant.
    pub from: i64,
    /// Rows up to this one; later than `from`.
    pub to: i64,
    /// Seconds between the rows of the archive.
    pub step: u32,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// Seconds between rows.
    pub step: u32,
    /// Each row's time, and one value for each data source.
    pub rows: Vec<(i64, Vec<Option<f64>>)>,
}

/// Why a file was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another process has the file open; it will be done soon.
    #[error("{path} is locked by another process")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("{path} does not exist")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is none of ours, or damaged.
    #[error("{path} is not a usable series file")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// Rows cannot be written to it; it is as it was.
    #[error("cannot write rows to {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Rows were written to it by half, and cannot be taken back.
    #[error("rows were written to {path} by half")]
    Torn {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// librrd refused.
    #[error("librrd refused {path}: {message}")]
    Library {
        /// The file.
        path: PathBuf,
        /// In its words.
        message: String,
    },
}

impl WriteError {
    /// Whether the file itself must give way to a new one.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Header { source: HeaderError::Corrupt(_), .. })
    }
}
