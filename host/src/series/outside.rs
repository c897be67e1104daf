//! Series files as somebody outside names them: by their paths.

use std::path::{Component, Path, PathBuf};

use super::archive::Consolidation;
use super::fetch::ROWS_MAX;
use super::header::Header;
use super::librrd;
use super::store::SeriesStore;
use super::writer::{Wanted, WriteError};

/// One thing that a file says of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A number; not a number where there is none.
    Value(f64),
    /// A count.
    Count(u64),
    /// A text.
    Text(String),
}

/// Rows of all data sources of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Rows come after this instant, seconds since 1970.
    pub from: i64,
    /// Seconds between rows.
    pub step: u32,
    /// The data sources, by RRD's names.
    pub sources: Vec<String>,
    /// Each row's time, and one value for each data source.
    pub rows: Vec<(i64, Vec<Option<f64>>)>,
}

impl Rows {
    /// The time of the last row.
    pub fn to(&self) -> i64 {
        self.rows.last().map_or(self.from, |(time, _)| *time)
    }
}

/// Why a file is not read for somebody outside.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// It is none of the store's.
    #[error("{0} is no series of this data folder")]
    Elsewhere(PathBuf),
    /// It has no such archive.
    #[error("{path} has {archives} archives, from 0 on")]
    NoArchive {
        /// The file.
        path: PathBuf,
        /// How many it has.
        archives: usize,
    },
    /// The range is empty.
    #[error("a range ends after it begins: from {from}, to {to}")]
    Range {
        /// Its begin, seconds since 1970.
        from: i64,
        /// Its end.
        to: i64,
    },
    /// The answer would be larger than anybody reads.
    #[error("{rows} rows asked for, at most {ROWS_MAX} are given: ask for a shorter range")]
    TooManyRows {
        /// Rows of the finest archive in the range.
        rows: u64,
    },
    /// It was not written or read.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl SeriesStore {
    /// Finds the file that is meant; a relative path is one within the folder of series.
    fn meant(&self, file: &Path) -> Result<PathBuf, OutsideError> {
        let elsewhere = || OutsideError::Elsewhere(file.into());
        let path = self.folder().join(file);
        // Its folder may be named through links; the file itself may not be there yet.
        let (Some(folder), Some(Component::Normal(name))) = (path.parent(), path.components().next_back()) else { return Err(elsewhere()) };
        let path = folder.canonicalize().map_err(|_| elsewhere())?.join(name);
        let ours = path.starts_with(self.folder()) && path.extension().is_some_and(|extension| extension == "rrd");
        let is_link = path.symlink_metadata().is_ok_and(|there| there.is_symlink());
        if ours && !is_link { Ok(path) } else { Err(elsewhere()) }
    }

    fn head(&self, path: &Path) -> Result<Header, OutsideError> {
        self.writer().info(path)?.ok_or_else(|| WriteError::Missing { path: path.into() }.into())
    }

    /// Writes what a file does not have yet.
    pub fn flush_path(&mut self, file: &Path) -> Result<(), OutsideError> {
        let path = self.meant(file)?;
        self.flush_file(&path);
        self.head(&path).map(drop)
    }

    /// Reads rows after `from` and up to `to`, as fine as the file has them so far back, of all that was taken so far.
    ///
    /// Unknown: rows that nothing is known of.
    pub fn rows_of(&mut self, file: &Path, consolidation: Consolidation, from: i64, to: i64) -> Result<Rows, OutsideError> {
        let path = self.meant(file)?;
        self.flush_file(&path);
        let shape = self.head(&path)?.shape;
        if from >= to {
            return Err(OutsideError::Range { from, to });
        }
        let rows = to.abs_diff(from) / u64::from(shape.step);
        if rows > ROWS_MAX {
            return Err(OutsideError::TooManyRows { rows });
        }
        let fetched = self.writer().fetch(&path, &Wanted { consolidation, from, to, step: 1 })?;
        let from = fetched.rows.first().map_or(from, |(time, _)| time - i64::from(fetched.step));
        let sources = shape.sources.into_iter().map(|source| source.name).collect();
        Ok(Rows { from, step: fetched.step, sources, rows: fetched.rows })
    }

    /// Reads everything that a file says of itself, in rrdtool's order.
    pub fn facts_of(&mut self, file: &Path) -> Result<Vec<(String, Fact)>, OutsideError> {
        let path = self.meant(file)?;
        self.flush_file(&path);
        self.head(&path)?;
        Ok(librrd::facts(&path)?)
    }

    /// Reads when the first row of an archive was. Source: rrdfirst(1).
    pub fn first_of(&mut self, file: &Path, archive: usize) -> Result<i64, OutsideError> {
        let path = self.meant(file)?;
        self.flush_file(&path);
        let Header { shape, last, .. } = self.head(&path)?;
        let Some(kept) = shape.archives.get(archive) else {
            return Err(OutsideError::NoArchive { path, archives: shape.archives.len() });
        };
        let step = i64::from(kept.steps) * i64::from(shape.step);
        Ok(last.stamp - last.stamp.rem_euclid(step) - (i64::from(kept.rows) - 1) * step)
    }

    /// Reads when the last row was.
    pub fn last_of(&mut self, file: &Path) -> Result<i64, OutsideError> {
        let path = self.meant(file)?;
        self.flush_file(&path);
        Ok(self.head(&path)?.last.stamp)
    }
}
