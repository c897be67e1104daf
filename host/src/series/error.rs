//! How the series fail.

use std::io;
use std::path::PathBuf;

use super::catalogue::CatalogueError;
use super::checkpoint::CheckpointError;
use super::selector::SelectorError;
use super::writer::WriteError;

/// Why series were not stored or read.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// librrd cannot be given such a path.
    #[error("cannot keep series in {path}: the path must be UTF-8 and without %")]
    Path {
        /// The data folder.
        path: PathBuf,
    },
    /// The catalogue failed, or is a newer one.
    #[error("cannot use the catalogue of series")]
    Catalogue(#[from] CatalogueError),
    /// The checkpoint was not written, or is a newer one.
    #[error("cannot use the checkpoint of series")]
    Checkpoint(#[from] CheckpointError),
    /// A series file was not written or read.
    #[error("cannot use a series file")]
    Write(#[from] WriteError),
    /// The folder of series failed.
    #[error("cannot use {path}")]
    Folder {
        /// What was touched.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// The disk said that it may not have what was written: the store goes back to its last checkpoint.
    #[error("what was written to {path} may be lost, it is written again from the journal")]
    Unsynced {
        /// The folder of series.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Nothing is written before the store went back.
    #[error("series files are not written before they are again as of the last checkpoint")]
    Unsure,
    /// The position was not stored.
    #[error("cannot store the position in the journal")]
    Position(#[source] io::Error),
    /// The selector cannot be read.
    #[error("cannot read the selector")]
    Selector(#[from] SelectorError),
    /// The range is empty.
    #[error("a range ends after it begins: from {from}, to {to}")]
    Range {
        /// Its begin, seconds since 1970.
        from: i64,
        /// Its end.
        to: i64,
    },
    /// The answer would be larger than anybody reads.
    #[error("{rows} rows asked for, at most {max} are given: ask for fewer series, a shorter range or a longer step")]
    TooManyRows {
        /// Rows of the answer.
        rows: u64,
        /// The bound.
        max: u64,
    },
}
